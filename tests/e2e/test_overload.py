"""More than the service can do, from locust on a CPU of its own: `make overload`, with wider bounds.

`make overload` asks for 90% and 50 ms, which a machine that does something else besides can't give: what the
generator sends at three times the rate it takes from a core, its caches or its power, where those are shared.
"""

import os

import pytest

from loadtest.address import Address
from loadtest.overload import Overload, measure_overload
from loadtest.results import percentile
from loadtest.target import apart
from tests.support import service_command

pytestmark = pytest.mark.alone

# The share of the peak that is still answered, and milliseconds of what is: this finds a collapse, and
# `make overload` what refusing costs.
_GOODPUT, _P95 = 0.8, 100
_TRIES = 3  # a minute that something else on the machine disturbed decides nothing


@pytest.fixture(scope="module")
def overload() -> Overload:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two usable CPUs, one for the service and one for the generator")
    for _ in range(_TRIES):
        with apart(service_command()) as service:
            found = measure_overload(Address(service.url), times=3, duration=60, step_seconds=1.5)
        if not found.breaches(_P95, _GOODPUT):
            break
    return found


def test_what_is_too_much_is_refused_with_advice_and_nothing_breaks(overload: Overload) -> None:
    assert overload.wrong == []
    assert len(overload.refused) > len(overload.admitted)


def test_about_as_much_is_done_as_at_the_peak(overload: Overload) -> None:
    assert overload.goodput >= _GOODPUT * overload.peak, overload.describe()


def test_what_is_admitted_is_answered_in_time(overload: Overload) -> None:
    assert percentile(overload.admitted, 0.95) < _P95, overload.describe()


def test_health_and_metrics_answer_meanwhile(overload: Overload) -> None:
    assert overload.probes.failures == []
    assert len(overload.probes.milliseconds) >= 10
