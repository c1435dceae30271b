"""Makes, once, what the replay needs of the world: a base's root, and the wheels of the requirements."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ops.image.namespaces import Unavailable

_SUITE = "bookworm"
# As in Debian's slim images, which the base is made on.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
# Where the base image has its Python.
_LINK = 'ln -s ../../bin/python3 "$1/usr/local/bin/python"'
_DEBOOTSTRAP = (
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    "--include=python3,python3-venv",
    "--dpkgopt=force-unsafe-io",
    *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
    f"--customize-hook={_LINK}",
    _SUITE,
)


def base_archive(cache: Path) -> Path:
    """A tar of Debian's root with its own Python 3.11, which stands in for the base image; made on first use.

    Raises:
        Unavailable: it can't be made here.
    """
    archive = cache / f"base-{_digest(' '.join(_DEBOOTSTRAP).encode())}.tar"
    with _alone(cache) as folder:
        if archive.exists():
            return archive
        if shutil.which("mmdebstrap") is None:
            raise Unavailable("there is no mmdebstrap (Debian's package of that name), nor a base at --base")
        made = folder / "base.tar"
        _run(
            [*_DEBOOTSTRAP, str(made)],
            "no root of Debian could be made, for which its archive has to be reached",
        )
        made.replace(archive)
    return archive


def unpack(archive: Path, root: Path) -> None:
    """Make a root of a base's tar.

    Raises:
        Unavailable: it is no tar of one.
    """
    words = ["tar", "--extract", "--numeric-owner", "--file", str(archive), "--directory", str(root)]
    # What an engine mounts over them anyway can't be made everywhere.
    _run([*words, "--exclude=./dev/*"], f"{archive} can't be unpacked")


def wheels(cache: Path, requirements: Path) -> Path:
    """A folder of what the requirements name, fetched by this machine's pip with all hashes checked, once.

    So the replay asks nobody; pip asks whom it is set to ask on this machine.

    Raises:
        Unavailable: they can't be fetched.
    """
    folder = cache / f"wheels-{_digest(requirements.read_bytes())}"
    with _alone(cache) as scratch:
        if folder.exists():
            return folder
        made = scratch / "wheels"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        hashed = ["--require-hashes", "--only-binary", ":all:", "--requirement", str(requirements)]
        _run(
            [*pip, *hashed, "--dest", str(made)],
            "the wheels could not be fetched, for which pip's index has to be reached",
        )
        made.chmod(0o755)
        made.replace(folder)
    return folder


@contextlib.contextmanager
def _alone(cache: Path) -> Iterator[Path]:
    """A scratch folder in the cache; who comes meanwhile waits, and then finds what was made."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock, tempfile.TemporaryDirectory(dir=cache) as scratch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(scratch)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def _run(words: Sequence[str], otherwise: str) -> None:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise Unavailable(f"{otherwise}: {last}")
