"""`python -m service.client`: name the pictures, have a running service classify them, show its answers."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import closing

from service.client.caller import Caller, Target, answers
from service.client.errors import UsageError
from service.client.output import JsonLines, Progress, Table
from service.client.pictures import find_pictures
from service.client.text import shown

_DEFAULT_URL = "http://127.0.0.1:8000"
_SCHEMES = ("http://", "https://")
_MOST_JOBS = 256
_EPILOG = f"""
PICTURE is a file, a folder (with all below it, sorted, but what is hidden or has no picture's suffix), or -
for standard input. The service is asked at URL, by default {_DEFAULT_URL}.

examples:
  python -m service.client classify cat.png
  python -m service.client classify holiday/ https://pets.example --key SECRET
  python -m service.client classify --json holiday/ | jq -r 'select(.low_confidence) | .file'
  curl -s https://pets.example/cat.jpg | python -m service.client classify -

exit status:
  0    every picture was classified
  1    some pictures failed; each one's line says why
  2    nothing could be asked: no such file, nothing listens at URL, a wrong key, an unknown model
  130  interrupted by Ctrl+C
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Classify what the arguments name; the exit status."""
    options = _parse(arguments)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        return _classify(options)
    except UsageError as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Nobody reads on, and Python would complain when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _classify(options: argparse.Namespace) -> int:
    pictures, skipped = find_pictures(options.pictures)
    for one in skipped:
        files = "1 file has" if one.count == 1 else f"{one.count} files have"
        _say(f"{one.folder!r}: {files} no picture's suffix, left out")
    caller = Caller(
        Target(options.url, options.model, options.version, options.key, options.retries, options.timeout)
    )
    progress = Progress(len(pictures))
    failed = 0
    with closing(caller), closing(answers(caller, pictures, options.jobs)) as answered:
        class_names = caller.classes()
        output = JsonLines() if options.json else Table([picture.name for picture in pictures], class_names)
        _write(output.head())
        progress.show(0)
        try:
            for done, (picture, answer) in enumerate(answered, 1):
                progress.clear()
                _write(output.line(picture.name, answer))
                failed += "error" in answer
                progress.show(done)
        finally:
            progress.clear()
    if failed:
        _say(f"{failed} of {len(pictures)} failed")
    return 1 if failed else 0


def _write(line: str | None) -> None:
    if line is not None:
        print(line, flush=True)


def _say(sentence: str) -> None:
    print(f"service.client: {shown(sentence)}", file=sys.stderr)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m service.client",
        usage="%(prog)s classify PICTURE... [URL] [options]",
        description="Have a running service classify pictures.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("command", choices=["classify"], help=argparse.SUPPRESS)
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="file, folder, - or the service's URL")
    parser.add_argument(
        "--json", action="store_true", help="a JSON document a line: the file, and the answer"
    )
    parser.add_argument("--model", help="the model that is to answer; by default the service's own choice")
    parser.add_argument("--version", help="its version; by default the highest")
    parser.add_argument(
        "--key",
        default=os.environ.get("GLIMPSE_KEY"),
        type=_key,
        help="API key; by default GLIMPSE_KEY's value",
    )
    parser.add_argument("--jobs", default=4, type=_jobs, help="requests at a time; by default 4")
    parser.add_argument(
        "--retries",
        default=5,
        type=_retries,
        help="times to ask again when the service is busy; by default 5",
    )
    parser.add_argument(
        "--timeout",
        default=60.0,
        type=_seconds,
        help="longest silence of the service in seconds; by default 60",
    )
    options = parser.parse_intermixed_args(arguments)
    urls = [name for name in options.pictures if name.startswith(_SCHEMES)]
    options.pictures = [name for name in options.pictures if not name.startswith(_SCHEMES)]
    if len(urls) > 1:
        parser.error(f"{' and '.join(urls)}: give one service's URL")
    if not options.pictures:
        parser.error("no picture is named: give a file, a folder, or - for standard input")
    options.url = urls[0] if urls else _DEFAULT_URL
    return options


def _key(text: str) -> str:
    # A secret: what is wrong with it is said without it.
    if not all(" " < one < "\x7f" or "\xa0" < one <= "\xff" for one in text):
        raise argparse.ArgumentTypeError("has characters that can't stand in a header; copy the key again")
    return text


def _jobs(text: str) -> int:
    return _whole(text, 1, _MOST_JOBS)


def _retries(text: str) -> int:
    return _whole(text, 0, 1000)


def _whole(text: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: give a whole number of {least} to {most}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: give seconds above 0, up to 86400")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
