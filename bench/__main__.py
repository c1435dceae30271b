"""`python -m bench`: how fast the models are alone, and the service around them, as tables and a plot.

The calls come from this machine, and take their share of its CPUs. With --into, the tables replace what
stands between two marks in that file, and with --summary the main figures do. Exit status 0, or 2 where
nothing could be measured.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.figures import Service
from bench.models import measure_models
from bench.plot import plot
from bench.service import measure_service
from bench.table import BEGIN, SUMMARY_BEGIN, to_markdown, to_summary
from chaos.lab import Lab
from loadtest import command, options
from loadtest.facts import gather_here
from loadtest.record import write_whole
from loadtest.report import prepare_report
from loadtest.table import insert

_MODELS = "bench.json"  # of the models alone, which load tests' reports take


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, measure, print, keep."""
    given = _parse(arguments)
    return command.run(lambda: _run(given), "bench")


def _run(arguments: argparse.Namespace) -> int:
    places = ((arguments.into, BEGIN), (arguments.summary, SUMMARY_BEGIN))
    for file, begin in places:  # before a quarter of an hour
        if file:
            insert(file, "", begin)
    prepare_report(arguments.report)
    kept = arguments.report / _MODELS if arguments.report else None
    alone = measure_models(arguments.server_python, arguments.calls, arguments.model, kept)
    lab = Lab(arguments.server_python, _say)
    how = (arguments.rounds, arguments.seconds, arguments.requests)
    services = [
        measure_service(lab, model, *how, lab.say) for model in dict.fromkeys(row.model for row in alone)
    ]
    table = to_markdown(alone, services, gather_here())
    print(table)
    for (file, begin), text in zip(places, (table, to_summary(alone, services)), strict=True):
        if file:
            write_whole(file, insert(file, text, begin))
    _keep(arguments, services)
    return 0


def _keep(arguments: argparse.Namespace, services: Sequence[Service]) -> None:
    drawing = plot(services)
    if arguments.plot:
        write_whole(arguments.plot, drawing)
    if arguments.report:
        write_whole(arguments.report / "service.svg", drawing)
        record = [asdict(service) for service in services]
        write_whole(arguments.report / "service.json", json.dumps(record, indent=1) + "\n")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--model", help="the only one (default: all)")
    add("--calls", type=options.count, default=1000, help="of each model alone (default: %(default)s)")
    add("--rounds", type=options.count, default=5, help="of the service (default: %(default)s)")
    add("--seconds", type=options.seconds, default=3.0, help="of each part of a round (default: %(default)g)")
    add("--requests", type=options.count, default=100_000, help="to fill its memory (default: %(default)s)")
    add("--server-python", default=sys.executable, help="interpreter that starts the service")
    add("--report", type=Path, metavar="FOLDER", help="folder for bench.json, service.json and service.svg")
    add("--into", type=Path, metavar="FILE", help="file with the marks that the tables go between")
    add("--summary", type=Path, metavar="FILE", help="another, with marks of its own, for the main figures")
    add("--plot", type=Path, metavar="FILE", help="file for the plot, SVG")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
