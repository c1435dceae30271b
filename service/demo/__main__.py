"""`python -m service.demo`: start the service, make pictures of every kind, have the client classify them."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from service.client.caller import Caller, Target, answers
from service.client.errors import UsageError
from service.client.output import Table
from service.client.pictures import find_pictures
from service.client.text import shown
from service.demo.pictures import KINDS, TEXT, make_pictures

_ROOT = Path(__file__).resolve().parents[2]
_SOURCE = _ROOT / "loadtest" / "pictures"
_START_SECONDS = 60
_STOP_SECONDS = 40


class DemoError(Exception):
    """The demo can't be shown; one sentence."""


def main() -> int:
    """Show it; exit status 0 where every picture was classified and the text refused."""
    try:
        return _demonstrate()
    except (DemoError, UsageError, FileNotFoundError) as error:
        print(f"demo: {shown(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _demonstrate() -> int:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="glimpse-demo-") as folder:
        _say(f"Making {len(KINDS)} pictures of all kinds, and a text that only says it is one ...")
        make_pictures(_SOURCE, Path(folder))
        _say("Starting the service ...")
        with _running_service() as url:
            _say(f"It answers at {url}; the client asks it.\n")
            classified, right, is_refused = _classify(Path(folder), url)
            _say("\nStopping the service ...")
    _say(
        f"{classified} of {len(KINDS)} pictures were classified, {right} as what they show, and the text was "
        f"{'refused' if is_refused else 'NOT refused'}; {time.perf_counter() - started:.1f} s in all.\n\n"
        "Do it yourself with any picture or folder: 'make serve' here, and in another terminal\n"
        f"  {_python()} -m service.client classify loadtest/pictures"
    )
    return 0 if classified == len(KINDS) and is_refused else 1


def _classify(folder: Path, url: str) -> tuple[int, int, bool]:
    """Show the table; how many were classified, how many rightly, and whether the text was refused."""
    pictures, _ = find_pictures([str(folder)])
    caller = Caller(Target(url))
    classified = right = 0
    refused = False
    with closing(caller), closing(answers(caller, pictures, jobs=4)) as answered:
        names = [Path(picture.name).name for picture in pictures]
        table = Table(names, caller.classes())
        _say(table.head())
        for name, (_, answer) in zip(names, answered, strict=True):
            _say(table.line(name, answer))
            if "error" in answer:
                refused |= name == TEXT and answer["error"]["code"] == "unsupported_format"
            elif name != TEXT:
                classified += 1
                right += name.startswith(answer["prediction"]["class"])
    return classified, right, refused


@contextmanager
def _running_service() -> Iterator[str]:
    """The URL of the real service on the models of this repository."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("GLIMPSE_")}
    settings = {
        "GLIMPSE_ARTIFACTS": os.environ.get("GLIMPSE_ARTIFACTS") or str(_ROOT / "artifacts"),
        "GLIMPSE_DEFAULT_MODEL": "resnet",  # whatever models a user has put beside it
        "GLIMPSE_PORT": "0",
        "GLIMPSE_LOG_FORMAT": "text",
        "GLIMPSE_DRAIN_SECONDS": "0",
    }
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "service"], cwd=_ROOT, env=given | settings, stderr=log
        )
        try:
            yield _wait_for_url(process, log.fileno())
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_url(process: "subprocess.Popen[bytes]", log: int) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        # At a place of its own: the service writes on where its own position is.
        text = os.pread(log, 1 << 20, 0).decode("utf-8", "replace")
        if found := re.search(r"listening on (http://\S+)", text):
            return found[1]
        if process.poll() is not None:
            raise DemoError(f"the service did not start: {text.strip()}")
        time.sleep(0.05)
    raise DemoError(f"the service was not ready within {_START_SECONDS} s")


def _python() -> str:
    """This interpreter as one would type it here."""
    here = Path(sys.executable)
    return str(here.relative_to(Path.cwd())) if here.is_relative_to(Path.cwd()) else str(here)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
