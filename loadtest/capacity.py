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
from loadtest.measure import Run, long_enough, measure
from loadtest.record import build_record
from loadtest.report import prepare_report, write_report
from loadtest.scenarios import describe_scenarios
from loadtest.search import find_highest
from loadtest.server import check_ready
from loadtest.slo import Objective
from loadtest.target import add_target_options, open_target
from loadtest.verdict import find_bottlenecks

PRECISION = 0.05
FIRST_RATE = 20.0
_LOWEST_RATE = 1.0
_RECOVERY_SECONDS = 10  # that a service may take to be ready again after a rate that was too much
_PROOFS = 2  # at one rate; one run that was disturbed decides nothing
_STEP_DOWN = 0.9  # where the longer runs break at a rate that a short one held


@dataclass(frozen=True)
class Capacity:
    """The proving run, None where no rate holds, and every run before it."""

    proof: Run | None
    steps: list[Run]

    @property
    def knee(self) -> list[dict[str, Any]]:
        """The rate of every run, its share of failures, and its percentiles where it was answered."""
        rows = []
        for run in [*self.steps, *([self.proof] if self.proof else [])]:
            row = {"rate": run.load.rate, "failed": run.failed, "holds": not run.breaches}
            for total in run.summaries[-1:]:
                row |= {"p50": total.p50, "p95": total.p95, "p99": total.p99}
            rows.append(row)
        return rows

    def sum_up(self, objective: Objective) -> list[str]:
        """The answer, and what stops the service there."""
        if self.proof is None:
            return [f"FAILED: no rate holds {objective}; at the lowest, {self.steps[-1].breaches[0]}"]
        rest = "nothing else fails" if objective.refused else "nothing fails"
        found = [f"PASSED: up to {self.proof.load.rate:.1f}/s, {objective} holds and {rest}"]
        above = [run for run in self.steps if run.breaches and run.load.rate > self.proof.load.rate]
        if above:
            nearest = min(above, key=lambda run: run.load.rate)
            found.append(f"at {nearest.load.rate:.1f}/s, {nearest.breaches[0]}")
            if bottlenecks := find_bottlenecks(nearest.measured, objective):
                why = "" if bottlenecks[0] == nearest.breaches[0] else f", for there {bottlenecks[0]}"
                found.append(f"WARNING: the service may hold more{why}")
        return found


def find_capacity(
    address: Address, load: Load, objective: Objective, step: float, precision: float = PRECISION
) -> Capacity:
    """Search from the load's rate in runs of `step` seconds, and prove in one of the load's own duration.

    Runs last longer where the rate is too low to tell the percentiles. The answer is at most `precision`, a
    share of it, below the highest rate that holds.

    Raises:
        LocustError: locust could not run.
        ServerError: the service's answers were not as they have to be even before the load, or it is gone.
    """
    classes = learn_classes(address, load)
    lowest = min(_LOWEST_RATE, load.rate)

    def attempt(rate: float, seconds: float = step) -> Run:
        check_ready(address, _RECOVERY_SECONDS)
        wanted = long_enough(replace(load, rate=rate, duration=seconds), objective)
        run = measure(address, wanted, objective, classes)
        print(f"at {rate:7.1f}/s: {_outcome(run)}", file=sys.stderr, flush=True)
        return run

    rate, tried = find_highest(attempt, load.rate, precision=precision, lowest=lowest)
    steps = [run for _, run in tried]
    while rate is not None and rate >= lowest:
        for _ in range(_PROOFS):
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, search, print the answer."""
    given = _parse(arguments)
    return command.run(lambda: _search(given))


def _search(arguments: argparse.Namespace) -> int:
    objective, load = options.objective_of(arguments), options.load_of(arguments)
    bench = prepare_report(arguments.report, arguments.bench)
    with open_target(arguments) as target:
        capacity = find_capacity(target.address, load, objective, arguments.step, arguments.precision)
        facts = gather(target, load)
    verdict = capacity.sum_up(objective)
    if capacity.proof:
        print(f"{capacity.proof.describe()}\n")
    print("\n".join(verdict))
    if arguments.report:
        runs = [capacity.proof or capacity.steps[-1]]
        record = build_record(runs, objective, facts, verdict, capacity.knee, bench)
        print(f"written: {write_report(arguments.report, record)}")
    return 0 if capacity.proof else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.capacity",
        description=__doc__,
        epilog=f"scenarios:\n{describe_scenarios()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_target_options(parser)
    options.add_scenario_option(parser)
    options.add_load_options(parser, rate=FIRST_RATE, duration=60.0)
    options.add_search_options(parser, PRECISION)
    options.add_report_options(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
