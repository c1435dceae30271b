"""`python -m chaos`: failures made on purpose, against the real service, each with what has to hold.

It starts services of its own on free ports of 127.0.0.1. Exit status 0 where every experiment passed, 1 where
one did not, 2 where one could not be made; one that this machine has no means for is skipped, and says why.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from chaos import soak
from chaos.catalogue import EXPERIMENTS, describe_experiments
from chaos.experiment import Result
from chaos.lab import Lab
from chaos.report import write_report
from chaos.runner import run_all, status_of
from chaos.table import BEGIN, to_markdown, to_text
from loadtest import command, options
from loadtest.facts import gather_here
from loadtest.report import prepare_report
from loadtest.table import insert

_SOAK = soak.EXPERIMENT.name
_LEAST_SOAK = 10  # seconds, or its parts have too few requests to compare


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, make the experiments, print or insert the table."""
    given = _parse(arguments)
    return command.run(lambda: _run(given), "chaos")


def _run(arguments: argparse.Namespace) -> int:
    prepare_report(arguments.report)
    if arguments.into:
        insert(arguments.into, "", BEGIN)  # before an hour of it
    lab = Lab(arguments.server_python, _say)
    chosen = [EXPERIMENTS[name] for name in arguments.only or EXPERIMENTS]
    extents = {} if arguments.soak is None else {_SOAK: round(arguments.soak)}
    results = run_all(chosen, lab, is_long=arguments.long, extents=extents)
    print(to_text(results))
    _keep(arguments, results)
    return status_of(results)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _keep(arguments: argparse.Namespace, results: Sequence[Result]) -> None:
    facts = gather_here()
    if arguments.into:
        text = insert(arguments.into, to_markdown(results, facts), BEGIN)
        arguments.into.write_text(text, encoding="utf-8")
    if arguments.report:
        print(f"written: {write_report(arguments.report, results, facts)}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m chaos",
        description=__doc__,
        epilog=f"experiments:\n{describe_experiments()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--long", action="store_true", help="the long form of each (default: the short one)")
    add(
        "--only",
        nargs="+",
        action="extend",
        choices=list(EXPERIMENTS),
        metavar="NAME",
        help="only these experiments (default: all)",
    )
    add("--soak", type=_duration, metavar="SECONDS", help="length of the soak, such as 1h or 90")
    add("--report", type=Path, metavar="FOLDER", help="folder for chaos.html, .md, .json and .csv")
    add("--into", type=Path, metavar="FILE", help="file with the marks that the table goes between")
    add("--server-python", default=sys.executable, help="interpreter that starts the service")
    given = parser.parse_args(arguments)
    if given.soak is not None and given.only and _SOAK not in given.only:
        parser.error(f"--soak goes with the experiment '{_SOAK}', which --only leaves out: add it there")
    return given


def _duration(text: str) -> float:
    """A duration such as 1h, 2m or 90, in seconds, for argparse."""
    hours = re.fullmatch(r"([0-9.]+)h", text)
    seconds = 3600 * options.positive(hours[1]) if hours else options.seconds(text)
    if seconds < _LEAST_SOAK:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: give {_LEAST_SOAK} s or more")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
