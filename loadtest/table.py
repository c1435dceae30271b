"""`python -m loadtest.table`: what each model holds in each scenario, as a table in Markdown.

For each it finds the highest rate that holds, and takes a share of it for the verdict. With --into, the table
replaces what stands between two marks in that file, and with --summary the rates alone do. Exit status 0
where every verdict passed, 1 where one did not, 2 where nothing could be measured.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loadtest import command, options
from loadtest.address import Address, ServerError
from loadtest.capacity import FIRST_RATE, PRECISION, Capacity, find_capacity
from loadtest.drive import Load
from loadtest.facts import gather
from loadtest.measure import Run, long_enough, measure, sum_up
from loadtest.record import RecordError, build_record
from loadtest.report import prepare_report, write_report
from loadtest.scenarios import SCENARIOS
from loadtest.slo import Objective
from loadtest.target import Target, add_target_options, open_target
from loadtest.verdict import lag_p99

BEGIN, END = "<!-- begin: python -m loadtest.table -->", "<!-- end -->"
SUMMARY_BEGIN = "<!-- begin: python -m loadtest.table --summary -->"
_HEAD = (
    "model",
    "scenario",
    "holds up to",
    "measured at",
    "n",
    "p50",
    "p95",
    "p99",
    "max",
    "late (p99)",
    "verdict",
)
_TOLD = (
    "measured",
    "machine",
    "CPUs of the service",
    "CPUs of the generator",
    "commit",
    "service",
    "settings",
    "client",
)


@dataclass(frozen=True)
class Cell:
    """One model in one scenario; `run` is None where no rate holds."""

    load: Load
    capacity: Capacity
    run: Run | None

    def row(self) -> tuple[str, ...]:
        """The table's row; times in milliseconds."""
        named = (self.load.model, self.load.scenario)
        if self.capacity.proof is None or self.run is None:
            return (*named, "no rate", *("" for _ in range(7)), "failed")
        rates = (f"{rate:.0f}/s" for rate in (self.capacity.proof.load.rate, self.run.load.rate))
        verdict = "failed" if self.run.breaches else "passed"
        for total in self.run.summaries[-1:]:
            lag = lag_p99(self.run.measured)
            times = (f"{one:.1f}" for one in (total.p50, total.p95, total.p99, total.largest, lag))
            return (*named, *rates, str(total.count), *times, verdict)
        return (*named, *rates, "0", *("" for _ in range(5)), verdict)


def measure_cell(
    address: Address, load: Load, objective: Objective, step: float, share: float, precision: float
) -> Cell:
    """Find the capacity, then measure at `share` of it.

    Raises:
        LocustError: locust could not run.
        ServerError: the service's answers were not as they have to be even before the load.
    """
    print(f"{load.model}, {load.scenario}:", file=sys.stderr, flush=True)
    capacity = find_capacity(address, load, objective, step, precision)
    run = capacity.proof
    if run is not None and share != 1:
        shared = long_enough(replace(load, rate=share * run.load.rate), objective)
        run = measure(address, shared, objective)
    return Cell(load, capacity, run)


def to_markdown(cells: Sequence[Cell], objective: Objective, facts: dict[str, str]) -> str:
    """The table, and how it was measured."""
    rows = [_HEAD, tuple("---" for _ in _HEAD), *(cell.row() for cell in cells)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    told = "; ".join(f"{name}: {facts[name]}" for name in _TOLD)
    return "\n".join([*lines, "", f"Holds means {objective}; times in ms. {told}."])


def to_summary(cells: Sequence[Cell]) -> str:
    """The highest rate of each, a row a scenario."""
    holds = {(cell.load.scenario, cell.load.model): cell.row()[2] for cell in cells}
    models = list(dict.fromkeys(cell.load.model for cell in cells))
    lines = [f"| holds up to | {' | '.join(models)} |", "|---" * (1 + len(models)) + "|"]
    for scenario in dict.fromkeys(cell.load.scenario for cell in cells):
        rates = (holds.get((scenario, model), "") for model in models)
        lines.append(f"| `{scenario}` | {' | '.join(rates)} |")
    return "\n".join(lines)


def insert(file: Path, table: str, begin: str = BEGIN) -> str:
    """The file's text with the table between its marks, of which `begin` is the first.

    Raises:
        RecordError: it has no marks.
    """
    text = file.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(text):
        raise RecordError(f"{file}: put the lines {begin} and {END} where the table is to be")
    return pattern.sub(lambda _: f"{begin}\n{table}\n{END}", text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, measure, print or insert the table."""
    given = _parse(arguments)
    return command.run(lambda: _measure_all(given))


def _measure_all(arguments: argparse.Namespace) -> int:
    objective = options.objective_of(arguments)
    prepare_report(arguments.report)
    _insert_all(arguments, "", "")  # before an hour of measuring
    with open_target(arguments) as target:
        cells, facts = [], {}
        for load in _loads(target, arguments):
            how = (arguments.step, arguments.share, arguments.precision)
            cell = measure_cell(target.address, load, objective, *how)
            cells.append(cell)
            facts = gather(target, load)
            if arguments.report:
                _keep(arguments.report, cell, objective, facts)
            # After each, so that what was measured is not lost with what was not.
            texts = _insert_all(arguments, to_markdown(cells, objective, facts), to_summary(cells))
            for file, text in texts.items():
                file.write_text(text, encoding="utf-8")
    print(to_markdown(cells, objective, facts))
    return 0 if all(cell.run is not None and not cell.run.breaches for cell in cells) else 1


def _insert_all(arguments: argparse.Namespace, table: str, summary: str) -> dict[Path, str]:
    """The new texts of the files that were named."""
    places = ((arguments.into, table, BEGIN), (arguments.summary, summary, SUMMARY_BEGIN))
    return {file: insert(file, text, begin) for file, text, begin in places if file}


def _loads(target: Target, arguments: argparse.Namespace) -> Iterator[Load]:
    load = options.load_of(arguments)
    for model in [load.model] if load.model else _models(target.address):
        for scenario in arguments.scenario or SCENARIOS:
            yield replace(load, model=model, scenario=scenario)


def _models(address: Address) -> list[str]:
    try:
        return sorted({model["name"] for model in json.loads(address.get("/models").text)["models"]})
    except (ValueError, KeyError, TypeError) as error:
        raise ServerError(f"{address.url}/models does not name the models: {error}") from error


def _keep(folder: Path, cell: Cell, objective: Objective, facts: dict[str, str]) -> None:
    run = cell.run or cell.capacity.steps[-1]
    verdict = cell.capacity.sum_up(objective)
    if cell.run is not None and cell.run is not cell.capacity.proof:
        verdict += sum_up([run], objective)
    record = build_record([run], objective, facts, verdict, cell.capacity.knee)
    write_report(folder / f"{cell.load.model}-{cell.load.scenario}", record)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_target_options(parser)
    options.add_load_options(parser, rate=FIRST_RATE, duration=60.0)
    options.add_search_options(parser, PRECISION)
    add = parser.add_argument
    add("--scenario", action="append", choices=list(SCENARIOS), help="several are possible (default: all)")
    add("--share", type=options.positive, default=1.0, help="of the highest rate, to measure at (default: 1)")
    add("--into", type=Path, metavar="FILE", help="file with the marks that the table goes between")
    add(
        "--summary",
        type=Path,
        metavar="FILE",
        help="another file, with marks of its own, for the rates alone",
    )
    add("--report", type=Path, metavar="FOLDER", help="folder for a report of each")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
