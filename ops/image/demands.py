"""An image and its life in, each demand on them with its figure out."""

import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ops.image.dockerfile import Dockerfile
from ops.image.life import READY_SECONDS, STOP_SECONDS, Life
from ops.image.replay import Image

_PINNED = re.compile(r"[^\s:@]+(:\d+\.\d+\.\d+[\w.-]*|(:[\w.-]+)?@sha256:[0-9a-f]{64})")
_PIP_OPTIONS = ("--require-hashes", "--only-binary :all:", "--no-cache-dir")
_TITLES = ("title", "description", "version", "revision", "licenses", "base.name")
LABELS = tuple(f"org.opencontainers.image.{title}" for title in _TITLES)
SHIPPED = {"artifacts", "service"}
TRAINING = {"torch", "torchvision", "triton", "nvidia", "onnx", "onnxscript"}
COMPILERS = {"as", "c++", "cargo", "cc", "clang", "cpp", "g++", "gcc", "go", "ld", "make", "rustc", "tcc"}
_PROGRAMS = ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "venv/bin")
_INSTALLERS = re.compile(r"(pip|setuptools|wheel|ensurepip)(\d|-|$)")
# What the base brings besides is its own; there the Dockerfile installs.
_OURS = ("venv", "usr/local", "app")
_CACHES = (".cache", "root/.cache", "home", "tmp", "var/tmp")
_TMPFS = {"/tmp", "/dev/shm"}  # noqa: S108 - in the image
_MB = 1_000_000


@dataclass(frozen=True)
class Demand:
    """One thing that has to hold, and what was found."""

    name: str
    holds: bool
    found: str
    wanted: str


def demands(dockerfile: Dockerfile, image: Image, life: Life, megabytes: int) -> list[Demand]:
    """All of them, in the order in which an image comes to be and lives."""
    return [*_of_the_text(dockerfile, image), *_of_the_files(image, megabytes), *_of_the_life(image, life)]


def describe(found: Iterable[Demand]) -> str:
    """A row for each."""
    rows = [(one.name, one.found, one.wanted, "ok" if one.holds else "FAILED") for one in found]
    rows.insert(0, ("demand", "found", "wanted", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = (
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _of_the_text(dockerfile: Dockerfile, image: Image) -> Iterator[Demand]:
    yield Demand("base", bool(_PINNED.fullmatch(image.base)), image.base, "an exact version or a digest")
    runs = [one.text for stage in dockerfile.stages for one in stage.instructions if one.keyword == "RUN"]
    installs = [text for text in runs if "pip install" in text]
    lacking = sorted({option for text in installs for option in _PIP_OPTIONS if option not in text})
    said = f"without {', '.join(lacking)}" if lacking else f"{len(installs)} pip install, with all of them"
    yield Demand("packages", bool(installs) and not lacking, said, ", ".join(_PIP_OPTIONS))
    user, group = image.user_ids()
    yield Demand("user", user > 0 and group > 0, f"{user}:{group}", "two numbers, not root's")
    missing = [label for label in LABELS if not image.labels.get(label)]
    said = f"without {', '.join(missing)}" if missing else f"{len(LABELS)}, version {image.labels[LABELS[2]]}"
    yield Demand("labels", not missing, said, f"OCI's {', '.join(_TITLES)}")
    yield Demand("command", image.is_exec_form, " ".join(image.command), "words, without a shell")
    health = image.health
    is_python = health is not None and health.is_exec_form and health.command[0] == "python"
    said = " ".join(health.command) if health else "none"
    yield Demand("health check", is_python, said, "Python, without a shell")


def _of_the_files(image: Image, megabytes: int) -> Iterator[Demand]:
    sizes = _sizes(image.root)
    total = sizes.total() / _MB
    shares = ", ".join(f"{name} {size / _MB:.0f}" for name, size in sizes.most_common())
    yield Demand("size", total < megabytes, f"{total:.0f} MB: {shares}", f"under {megabytes} MB")
    shipped = {path.name for path in (image.root / "app").glob("*")}
    yield Demand(
        "/app",
        shipped == SHIPPED,
        ", ".join(sorted(shipped)),
        f"{', '.join(sorted(SHIPPED))} and nothing else",
    )
    packages = {path.name for path in image.root.glob("**/*-packages/*")}
    yield _none("training", TRAINING & packages, "no PyTorch, nor what comes with it")
    programs = {path.name for folder in _PROGRAMS for path in (image.root / folder).glob("*")}
    compilers = {name for name in programs if re.sub(r"^.*-gnu-|-[\d.]+$", "", name) in COMPILERS}
    yield _none("compilers", compilers, "no compiler, linker or make")
    yield _none("installers", set(_installers(image.root)), "no pip, setuptools or cache")
    own = set(_writable(image.root, *image.user_ids()))
    yield _none("owned by its user", own, "no code that the service could change")


def _of_the_life(image: Image, life: Life) -> Iterator[Demand]:
    seconds = "never" if life.ready_seconds is None else f"after {life.ready_seconds:.1f} s"
    wanted = f"within {READY_SECONDS} s, without network"
    yield Demand("ready", life.ready_seconds is not None, seconds, wanted)
    status, said = life.health or (None, "it was never asked")
    yield Demand("healthy", status == 0, f"{status}: {said}", "status 0 of its HEALTHCHECK")
    yield Demand("classifies", life.answer is not None, life.answer or "no", "a class for a picture")
    writable = set(life.writable)
    yield Demand("writes to", writable == _TMPFS, _listed(writable), f"tmpfs alone: {_listed(_TMPFS)}")
    facts = {name: life.facts.get(name, "?").split() for name in ("NSpid", "Uid", "CapEff", "NoNewPrivs")}
    number, user, capabilities = facts["NSpid"][-1], facts["Uid"][0], facts["CapEff"][0]
    is_first = number == "1" and facts["Uid"] == 4 * [str(image.user_ids()[0])]
    is_locked = not capabilities.strip("0") and facts["NoNewPrivs"] == ["1"]
    said = f"process {number}, user {user}, capabilities {capabilities}"
    yield Demand("runs as", is_first and is_locked, said, "process 1, its own user, no capability")
    stopped = life.stop_status == 0 and image.stop_signal == "SIGTERM"
    said = "no" if life.stop_status is None else f"status {life.stop_status} after {life.stop_seconds:.1f} s"
    yield Demand("stops", stopped, said, f"status 0 within {STOP_SECONDS} s of SIGTERM")


def _none(name: str, found: set[str], wanted: str) -> Demand:
    return Demand(name, not found, _listed(found), wanted)


def _listed(names: set[str], most: int = 4) -> str:
    shown = sorted(names)[:most]
    return ", ".join([*shown, *([f"{len(names) - most} more"] if len(names) > most else [])]) or "none"


def _sizes(root: Path) -> Counter[str]:
    """Bytes of regular files: of the packages, of what is ours, and of the base; each inode once."""
    sizes: Counter[str] = Counter()
    seen: set[int] = set()
    for path in root.rglob("*"):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_ino not in seen:
            seen.add(status.st_ino)
            top = path.relative_to(root).parts[0]
            sizes[f"/{top}" if top in {"app", "venv"} else "base"] += status.st_size
    return sizes


def _installers(root: Path) -> Iterator[str]:
    for top in _OURS:
        for path in (root / top).rglob("*"):
            is_place = path.parent.name == "bin" or path.parent.name.endswith("-packages")
            if (is_place or path.name == "ensurepip") and _INSTALLERS.match(path.name):
                yield f"/{path.relative_to(root)}"
    for cache in _CACHES:
        yield from (f"/{path.relative_to(root)}" for path in (root / cache).glob("*"))


def _writable(root: Path, user: int, group: int) -> Iterator[str]:
    """What its user owns or may change, of what is there to be run or read by it."""
    for top in ("app", "venv"):
        for path in (root / top, *(root / top).rglob("*")):
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                continue
            shared = status.st_mode & stat.S_IWOTH or (
                status.st_gid == group and status.st_mode & stat.S_IWGRP
            )
            if status.st_uid == user or shared:
                yield f"/{path.relative_to(root)}"
