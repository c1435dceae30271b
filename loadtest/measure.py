"""A service and a load in, one judged run out."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from loadtest import histogram
from loadtest.address import Address
from loadtest.drive import Load, drive, learn_classes
from loadtest.results import Measured, Summary, percentile, summarise_kinds
from loadtest.slo import Objective, percent
from loadtest.verdict import find_breaches, lag_p99


@dataclass(frozen=True)
class Run:
    """What was measured, and what to think of it, in sentences."""

    load: Load
    measured: Measured
    breaches: list[str]
    notes: list[str]
    server: histogram.ServerView | None

    @property
    def summaries(self) -> list[Summary]:
        """Percentiles by kind, of all last; of no refusals."""
        return summarise_kinds(self.measured.timed)

    @property
    def failed(self) -> float:
        """The share (0..1) that failed or was refused."""
        results = self.measured.results
        return sum(result.error is not None for result in results) / max(1, len(results))

    @property
    def cpu(self) -> float:
        """Share of a CPU that the busiest generator took."""
        return max(one.cpu for one in self.measured.generators)

    def describe(self) -> str:
        """Its figures, a line each."""
        lines = [f"{'milliseconds':<16}{'n':>8}{'p50':>10}{'p95':>10}{'p99':>10}{'max':>10}"]
        for row in self.summaries:
            times = "".join(f"{value:>10.2f}" for value in (row.p50, row.p95, row.p99, row.largest))
            lines.append(f"{row.name:<16}{row.count:>8}{times}")
        return "\n".join([*lines, f"\n{self.sum_up()}", *self.notes])

    def sum_up(self) -> str:
        """What was sent, in one sentence."""
        measured = self.measured
        return (
            f"{measured.offered} requests, {measured.offered_rate:.1f}/s, were due and "
            f"{measured.achieved_rate():.1f}/s sent in {measured.seconds:g} s; the generator was late by "
            f"{lag_p99(measured):.2f} ms (p99) and took {self.cpu:.0%} of a CPU"
        )


def measure(
    address: Address, load: Load, objective: Objective, classes: Mapping[str, Sequence[str]] | None = None
) -> Run:
    """Drive the service once and judge it.

    Raises:
        LocustError: locust could not run.
        ServerError: the service's answers were not as they have to be even before the load.
    """
    learnt = learn_classes(address, load) if classes is None else classes
    if load.remote_workers:
        waiting = f"waiting for {load.remote_workers} workers at port {load.master_port}"
        print(waiting, file=sys.stderr, flush=True)
    before = histogram.read_before(address)
    measured = drive(address, load, learnt)
    answered = [result for result in measured.results if result.status]
    view = None
    if before is not None:
        after = histogram.read_after(address, before, len(answered))
        view = None if after is None else histogram.view(before, after)
    return Run(load, measured, find_breaches(measured, objective), _notes(measured, view), view)


def long_enough(load: Load, objective: Objective) -> Load:
    """The load, or a longer one where it would send too few requests to tell the objective's percentiles."""
    return replace(load, duration=max(load.duration, objective.strictest.least_requests / load.rate))


def sum_up(runs: Sequence[Run], objective: Objective) -> list[str]:
    """The verdict on all runs, each of which has to hold, a sentence for each breach or one for success."""
    breaches = []
    for index, run in enumerate(runs, start=1):
        where = f" (run {index} of {len(runs)})" if len(runs) > 1 else ""
        breaches += [f"FAILED: {breach}{where}" for breach in run.breaches]
    rate = runs[0].measured.achieved_rate()
    return breaches or [f"PASSED: {objective} at {rate:.1f}/s, and nothing {_else(objective)}failed"]


def _else(objective: Objective) -> str:
    return "else " if objective.refused else ""


def _notes(measured: Measured, view: histogram.ServerView | None) -> list[str]:
    notes = []
    if measured.refused:
        total = len(measured.results)
        share = percent(measured.refused / total)
        refused = f"{measured.refused} of {total} requests, {share}"
        notes.append(f"refused (503), and so in no percentile: {refused}")
    # The server times refusals as well, so that here the client's are in.
    times = sorted(result.milliseconds for result in measured.results if result.status)
    if times and measured.lags_ms:
        lag = percentile(measured.lags_ms, 0.95)
        notes += histogram.reconcile(percentile(times, 0.95), lag, len(times), view)
    return notes
