"""More than the service can do, from locust on a CPU of its own; `make overload` does the same for longer."""

import os

import pytest

from loadtest.address import Address
from loadtest.overload import Overload, measure_overload
from loadtest.results import percentile
from loadtest.target import apart
from tests.support import service_command

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def overload() -> Overload:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two usable CPUs, one for the service and one for the generator")
    with apart(service_command()) as service:
        return measure_overload(Address(service.url), times=3, duration=8, step_seconds=1.5)


def test_what_is_too_much_is_refused_with_advice_and_nothing_breaks(overload: Overload) -> None:
    assert overload.wrong == []
    assert len(overload.refused) > len(overload.admitted)


def test_about_as_much_is_done_as_at_the_peak(overload: Overload) -> None:
    # The command asks for 90% over a minute; the peak of a few seconds is a lucky one.
    assert overload.goodput >= 0.7 * overload.peak


def test_what_is_admitted_is_answered_and_not_left_waiting(overload: Overload) -> None:
    # Without bounds, seconds of requests would pile up.
    assert percentile(overload.admitted, 0.95) < 250


def test_health_and_metrics_answer_meanwhile(overload: Overload) -> None:
    assert overload.probes.failures == []
    assert len(overload.probes.milliseconds) >= 10
