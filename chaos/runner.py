"""Experiments in, what came of each out; one that can't be made leaves the others to be made."""

import time
from collections.abc import Mapping, Sequence

from chaos.experiment import Experiment, Result, Skipped, Verdict
from chaos.lab import Lab
from loadtest.address import ServerError
from loadtest.drive import LocustError

PASSED, FAILED, BROKEN = 0, 1, 2


def run_all(
    experiments: Sequence[Experiment],
    lab: Lab,
    *,
    is_long: bool = False,
    extents: Mapping[str, int] | None = None,
) -> list[Result]:
    """Make them one after the other.

    Args:
        experiments: what to make.
        lab: where; it is told how it goes.
        is_long: whether in their long form.
        extents: by an experiment's name, another extent than that of the form.
    """
    results = []
    for one in experiments:
        extent = (extents or {}).get(one.name, one.long if is_long else one.short)
        lab.say(f"{one.name}: {one.describe(extent)}")
        result = make(one, lab, extent)
        lab.say(f"{one.name}: {result.verdict.value} after {result.seconds:.0f} s: {result.figures}")
        results.append(result)
    return results


def make(experiment: Experiment, lab: Lab, extent: int) -> Result:
    """Make one, whatever comes of it."""
    began = time.monotonic()
    outcome, reason = None, ""
    try:
        outcome = experiment.run(lab, extent)
        verdict = Verdict.FAILED if outcome.breaches else Verdict.PASSED
    except Skipped as error:
        verdict, reason = Verdict.SKIPPED, str(error)
    except (ServerError, LocustError, OSError) as error:
        verdict, reason = Verdict.BROKEN, str(error)
    return Result(experiment, extent, time.monotonic() - began, verdict, outcome, reason)


def status_of(results: Sequence[Result]) -> int:
    """The exit status: 1 where one failed, else 2 where one could not be made, else 0."""
    verdicts = {result.verdict for result in results}
    if Verdict.FAILED in verdicts:
        return FAILED
    return BROKEN if Verdict.BROKEN in verdicts else PASSED
