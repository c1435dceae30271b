"""`python -m service.demo`: start the service, make pictures of every kind, have the client classify them."""

import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from service.client.caller import Caller, Target, answers
from service.client.errors import UsageError
from service.client.output import Table
from service.client.pictures import find_pictures
from service.client.text import shown
from service.demo.pictures import KINDS, TEXT, make_pictures
from service.started import StartError, started_service

_ROOT = Path(__file__).resolve().parents[2]
_SOURCE = _ROOT / "loadtest" / "pictures"


def main() -> int:
    """Show it; exit status 0 where every picture was classified and the text refused."""
    try:
        return _demonstrate()
    except (StartError, UsageError, FileNotFoundError) as error:
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
        with started_service(_settings(), _ROOT) as url:
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


def _settings() -> dict[str, str]:
    """The models of this repository, and nothing of what the shell has set for a service but their place."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("GLIMPSE_")}
    return given | {
        "GLIMPSE_ARTIFACTS": os.environ.get("GLIMPSE_ARTIFACTS") or str(_ROOT / "artifacts"),
        "GLIMPSE_DEFAULT_MODEL": "resnet",  # whatever models a user has put beside it
        "GLIMPSE_LOG_FORMAT": "text",
        "GLIMPSE_DRAIN_SECONDS": "0",
    }


def _python() -> str:
    """This interpreter as one would type it here."""
    here = Path(sys.executable)
    return str(here.relative_to(Path.cwd())) if here.is_relative_to(Path.cwd()) else str(here)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
