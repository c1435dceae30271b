"""`python -m loadtest`: does the service hold its latency at this rate? Exit status 0 for yes, 1 for no.

2 means that nothing could be measured, or the report not be written.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from loadtest import command, options
from loadtest.drive import Load, learn_classes
from loadtest.facts import gather
from loadtest.measure import Run, measure, sum_up
from loadtest.record import build_record
from loadtest.report import prepare_report, write_comparison, write_report
from loadtest.scenarios import describe_scenarios
from loadtest.slo import Objective
from loadtest.target import Target, add_target_options, open_target


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, print the table and the verdict."""
    given = _parse(arguments)
    return command.run(lambda: _compare(given) if given.compare else _test(given))


def _compare(arguments: argparse.Namespace) -> int:
    print(f"written: {write_comparison(arguments.report or Path(), *arguments.compare)}")
    return 0


def _test(arguments: argparse.Namespace) -> int:
    objective, load = options.objective_of(arguments), options.load_of(arguments)
    bench = prepare_report(arguments.report, arguments.bench)
    with open_target(arguments) as target:
        runs = _measure(target, load, objective, arguments.repeats)
        facts = gather(target, load)
    verdict = sum_up(runs, objective)
    print("\n".join(verdict))
    if arguments.report:
        record = build_record(runs, objective, facts, verdict, bench=bench)
        print(f"written: {write_report(arguments.report, record)}")
    return 1 if any(run.breaches for run in runs) else 0


def _measure(target: Target, load: Load, objective: Objective, repeats: int) -> list[Run]:
    classes = learn_classes(target.address, load)
    runs = []
    for seed in range(repeats):
        run = measure(target.address, replace(load, seed=seed), objective, classes)
        print(f"{run.describe()}\n", flush=True)
        runs.append(run)
    return runs


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest",
        description=__doc__,
        epilog=f"scenarios:\n{describe_scenarios()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_target_options(parser)
    options.add_scenario_option(parser)
    options.add_load_options(parser, rate=50.0, duration=30.0)
    options.add_report_options(parser)
    add = parser.add_argument
    add("--repeats", type=options.count, default=1, help="runs, each of which has to hold (default: 1)")
    _add_compare(parser)
    given = parser.parse_args(arguments)
    if given.compare:
        _refuse_others(parser, arguments)
    else:
        options.check_size(parser, given)
    return given


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--compare",
        type=Path,
        nargs=2,
        metavar=("A", "B"),
        help="measure nothing; set two reports side by side, into --report's folder or else this one",
    )


def _refuse_others(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> None:
    """A load beside --compare would be given for nothing."""
    alone = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    _add_compare(alone)
    alone.add_argument("--report")
    _, others = alone.parse_known_args(arguments)
    if others:
        parser.error(f"{' '.join(others)}: --compare measures nothing; only --report goes with it")


if __name__ == "__main__":
    sys.exit(main())
