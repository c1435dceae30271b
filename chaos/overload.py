"""Three times what the service can do, for a while."""

import os

from chaos.experiment import Experiment, Outcome, Skipped
from chaos.lab import Lab
from loadtest.address import Address
from loadtest.overload import Overload, measure_overload
from loadtest.results import percentile
from loadtest.target import apart, own_service

TIMES = 3.0
LIMIT_P95_MS, LEAST_SHARE = 50.0, 0.9
# The peak of steps of a second is a lucky one, and a few seconds are no time to judge a tail by.
SHORT_LIMIT_P95_MS, SHORT_LEAST_SHARE = 250.0, 0.7
_SHORT_SECONDS, _LONG_SECONDS = 10, 60
_SHORT_STEP, _LONG_STEP = 1.5, 5.0


def _run(lab: Lab, extent: int) -> Outcome:
    if len(os.sched_getaffinity(0)) < 2:
        raise Skipped("needs two usable CPUs, one for the service and one for the clients")
    is_long = extent >= _LONG_SECONDS
    with own_service([lab.server_python, "-m", "service"], apart) as service:
        step = _LONG_STEP if is_long else _SHORT_STEP
        overload = measure_overload(Address(service.url), TIMES, extent, step)
    limits = (LIMIT_P95_MS, LEAST_SHARE) if is_long else (SHORT_LIMIT_P95_MS, SHORT_LEAST_SHARE)
    return Outcome(_figures(overload), overload.breaches(*limits))


def _figures(overload: Overload) -> dict[str, str]:
    admitted = f"{percentile(overload.admitted, 0.95):.0f} ms" if overload.admitted else "none"
    return {
        "peak": f"{overload.peak:.0f}/s",
        "offered": f"{overload.offered:.0f}/s",
        "answered": f"{overload.goodput:.0f}/s, {overload.goodput / overload.peak:.0%} of the peak",
        "p95 of the admitted": admitted,
        "refused": f"{len(overload.refused):,}",
    }


EXPERIMENT = Experiment(
    name="overload",
    does=f"{TIMES:g} times the requests that it can answer, for {{extent}} s",
    criterion=f"p95 of the admitted under {LIMIT_P95_MS:g} ms and {LEAST_SHARE:.0%} of the peak answered "
    f"(short form: {SHORT_LIMIT_P95_MS:g} ms and {SHORT_LEAST_SHARE:.0%}), the rest refused with "
    "Retry-After; health and metrics answer",
    short=_SHORT_SECONDS,
    long=_LONG_SECONDS,
    run=_run,
)
