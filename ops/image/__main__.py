"""`python -m ops.image`: does the Dockerfile's image keep what it promises? Exit status 0 for yes, 1 for no.

It replays the Dockerfile's own instructions in a root of Debian that stands in for the base image, starts the
command as a container engine would, and prints each demand with its figure. Exit status 77, with a sentence,
where this machine can't do that.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ops.image import base, namespaces
from ops.image.context import read_context
from ops.image.demands import Demand, demands, describe
from ops.image.dockerfile import DockerfileError, parse
from ops.image.life import live
from ops.image.replay import Given, Image, replay

SKIPPED = 77  # as test runners have it
_REPOSITORY = Path(__file__).resolve().parents[2]
_PICTURE = _REPOSITORY / "loadtest" / "pictures" / "cat.png"
_WHEELS = "wheels"
_LOG_LINES = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, start, look, print."""
    given = _parse(arguments)
    if given.base and not given.base.is_file():
        print(
            f"ops.image: --base {given.base}: no such file; write one with 'docker export'", file=sys.stderr
        )
        return 2
    if not (given.context / "Dockerfile").is_file():
        print(f"ops.image: --context {given.context}: there is no Dockerfile in it", file=sys.stderr)
        return 2
    try:
        found, log = check(given.context, given.cache, given.base, given.megabytes)
    except namespaces.Unavailable as error:
        print(f"SKIPPED: {error}")
        return SKIPPED
    except DockerfileError as error:
        print(f"FAILED: {error}")
        return 1
    print(describe(found))
    failed = [one.name for one in found if not one.holds]
    if failed:
        print(f"\nlast of its log:\n{log}\n\nFAILED: {', '.join(failed)}")
        return 1
    print(f"\nPASSED: {len(found)} demands hold")
    return 0


def check(context: Path, cache: Path, archive: Path | None, megabytes: int) -> tuple[list[Demand], str]:
    """Every demand on the image of a folder with a Dockerfile, and the end of the log of its process.

    Raises:
        DockerfileError: no image comes of it.
        Unavailable: this machine can't make or start one.
    """
    dockerfile = parse((context / "Dockerfile").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(dir=_made(cache)) as folder:
        image = build(context, cache, archive, Path(folder))
        life = live(image, _PICTURE)
        found = demands(dockerfile, image, life, megabytes)
    return found, "\n".join(life.log.splitlines()[-_LOG_LINES:])


def build(context: Path, cache: Path, archive: Path | None, folder: Path) -> Image:
    """The image of a folder with a Dockerfile, made under another folder.

    Raises:
        DockerfileError: no image comes of it.
        Unavailable: this machine can't make one.
    """
    namespaces.check_available()
    dockerfile = parse((context / "Dockerfile").read_text(encoding="utf-8"))
    wheels = base.wheels(cache, context / "requirements.txt")
    given = Given(
        context=read_context(context),
        unpack=partial(base.unpack, archive or base.base_archive(cache)),
        binds={_WHEELS: wheels},
        environment={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"/run/{_WHEELS}"},
    )
    return replay(dockerfile, given, folder)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ops.image",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--context",
        type=Path,
        default=_REPOSITORY,
        help="folder of the Dockerfile (default: this repository)",
    )
    add(
        "--base",
        type=Path,
        help="tar of the base's root, as 'docker export' writes it, instead of the stand-in",
    )
    add(
        "--cache",
        type=Path,
        default=Path("runs/image"),
        help="where the stand-in and the wheels stay (runs/image)",
    )
    add("--megabytes", type=int, default=500, help="what the image has to stay under (default: 500)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
