"""`python -m loadtest.capacity`: the highest rate at which the service holds its latency.

It raises the rate until a bound breaks, bisects, and proves the answer with a longer run. Exit status 0 where
there is such a rate, 1 where there is none, 2 where nothing could be measured.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from loadtest import command, options
from loadtest.address import Address
from loadtest.drive import Load, learn_classes
from loadtest.facts import gather
from loadtest.measure import Run, measure
from loadtest.record import build_record, read_bench
from loadtest.report import write_report
from loadtest.scenarios import describe_scenarios
from loadtest.search import find_highest
from loadtest.slo import Slo
from loadtest.target import add_target_options, open_target

PRECISION = 0.05
FIRST_RATE = 20.0
_STEP_DOWN = 0.9  # where the longer run breaks at a rate that a short one held


@dataclass(frozen=True)
class Capacity:
    """The proving run, None where no rate holds, and every run before it."""

    proof: Run | None
    steps: list[Run]

    @property
    def knee(self) -> list[dict[str, Any]]:
        """Rates and percentiles of every run that answered anything."""
        rows = []
        for run in [*self.steps, *([self.proof] if self.proof else [])]:
            for total in run.summaries[-1:]:
                times = {"p50": total.p50, "p95": total.p95, "p99": total.p99}
                failed = sum(one.error is not None for one in run.measured.results) / total.count
                rows.append({"rate": run.load.rate, **times, "failed": failed, "holds": not run.breaches})
        return rows

    def sum_up(self, slos: Sequence[Slo]) -> list[str]:
        """The answer, and what stops the service there."""
        held = ", ".join(map(str, slos))
        if self.proof is None:
            return [f"FAILED: no rate holds {held}; at the lowest, {self.steps[-1].breaches[0]}"]
        found = [f"PASSED: up to {self.proof.load.rate:.1f}/s, {held} holds and nothing fails"]
        above = [run for run in self.steps if run.breaches and run.load.rate > self.proof.load.rate]
        if above:
            nearest = min(above, key=lambda run: run.load.rate)
            found.append(f"at {nearest.load.rate:.1f}/s, {nearest.breaches[0]}")
        return found


def find_capacity(
    address: Address, load: Load, slos: Sequence[Slo], step: float, precision: float = PRECISION
) -> Capacity:
    """Search from the load's rate in runs of `step` seconds, and prove in one of the load's own duration.

    The answer is at most `precision`, a share of it, below the highest rate that holds.

    Raises:
        LocustError: locust could not run.
        ServerError: the service's answers were not as they have to be even before the load.
    """
    classes = learn_classes(address, load)

    def attempt(rate: float, seconds: float = step) -> Run:
        run = measure(address, replace(load, rate=rate, duration=seconds), slos, classes)
        print(f"at {rate:7.1f}/s: {_outcome(run)}", file=sys.stderr, flush=True)
        return run

    rate, tried = find_highest(attempt, load.rate, precision=precision)
    steps = [run for _, run in tried]
    while rate is not None and rate >= 1:
        proof = attempt(rate, load.duration)
        if not proof.breaches:
            return Capacity(proof, steps)
        steps.append(proof)
        rate *= _STEP_DOWN
    return Capacity(None, steps)


def _outcome(run: Run) -> str:
    if run.breaches:
        return run.breaches[0]
    total = run.summaries[-1]
    return f"holds; p50 {total.p50:.1f}, p95 {total.p95:.1f}, p99 {total.p99:.1f} ms"


def main() -> int:
    """Parse, search, print the answer."""
    arguments = _parse()
    return command.run(lambda: _search(arguments))


def _search(arguments: argparse.Namespace) -> int:
    slos, load = options.slos_of(arguments), options.load_of(arguments)
    bench = read_bench(arguments.bench) if arguments.bench else None
    with open_target(arguments) as target:
        capacity = find_capacity(target.address, load, slos, arguments.step, arguments.precision)
        facts = gather(target, load)
    verdict = capacity.sum_up(slos)
    if capacity.proof:
        print(f"{capacity.proof.describe()}\n")
    print("\n".join(verdict))
    if arguments.report:
        runs = [capacity.proof or capacity.steps[-1]]
        record = build_record(runs, slos, facts, verdict, capacity.knee, bench)
        print(f"written: {write_report(arguments.report, record)}")
    return 0 if capacity.proof else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.capacity",
        description=__doc__,
        epilog=f"scenarios:\n{describe_scenarios()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_target_options(parser)
    options.add_scenario_option(parser)
    options.add_load_options(parser, rate=FIRST_RATE, duration=60.0)
    options.add_search_options(parser, PRECISION)
    options.add_report_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
