"""`python -m ops.image`: does the Dockerfile's image keep what it promises? Exit status 0 for yes, 1 for no.

It replays the Dockerfile's own instructions in a root of Debian that stands in for the base image, starts the
command as a container engine would, and prints each demand with its figure. Exit status 77, with a sentence,
where this machine can't do that.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ops.image.build import build
from ops.image.demands import Demand, demands, describe
from ops.image.dockerfile import DockerfileError, parse
from ops.image.life import live
from ops.image.namespaces import Unavailable

SKIPPED = 77  # as test runners have it
_REPOSITORY = Path(__file__).resolve().parents[2]
_PICTURE = _REPOSITORY / "loadtest" / "pictures" / "cat.png"
_LOG_LINES = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, start, look, print; SIGTERM ends it as Ctrl+C does, with all that it has started."""
    given = _parse(arguments)
    before = signal.signal(signal.SIGTERM, _end)
    try:
        return _judge(given)
    except _Wrong as error:
        print(f"ops.image: {error}", file=sys.stderr)
        return 2
    except Unavailable as error:
        print(f"SKIPPED: {error}")
        return SKIPPED
    except DockerfileError as error:
        print(f"FAILED: {error}")
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)


class _Wrong(Exception):
    """An argument that names nothing."""


def _judge(given: argparse.Namespace) -> int:
    if given.base and not given.base.is_file():
        raise _Wrong(f"--base {given.base}: no such file; write one with 'docker export'")
    if not (given.context / "Dockerfile").is_file():
        raise _Wrong(f"--context {given.context}: there is no Dockerfile in it")
    found, log = _check(given.context, given.cache, given.base, given.megabytes)
    print(describe(found))
    failed = [one.name for one in found if not one.holds]
    if failed:
        print(f"\nlast of its log:\n{log}\n\nFAILED: {', '.join(failed)}")
        return 1
    print(f"\nPASSED: {len(found)} demands hold")
    return 0


def _check(context: Path, cache: Path, base: Path | None, megabytes: int) -> tuple[list[Demand], str]:
    """Every demand, and the end of the log of the image's process."""
    dockerfile = parse((context / "Dockerfile").read_text(encoding="utf-8"))
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        image = build(dockerfile, context, Path(folder), cache, base)
        life = live(image, _PICTURE)
        found = demands(dockerfile, image, life, megabytes)
    return found, "\n".join(life.log.splitlines()[-_LOG_LINES:])


def _end(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


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
