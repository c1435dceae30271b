import itertools
import statistics

import pytest

from loadtest.scenarios import SCENARIOS, Burst
from loadtest.schedule import count_arrivals, draw_arrivals, share_of

MIX = {"a": 0.9, "b": 0.1}


def test_offered_rate_is_exactly_the_one_asked_for() -> None:
    assert len(draw_arrivals(MIX, rate=37, seconds=20)) == 740


def test_arrivals_are_poisson() -> None:
    """Exponential gaps have a standard deviation equal to their mean, and bunch as no clock does."""
    dues = [arrival.due for arrival in draw_arrivals(MIX, rate=200, seconds=50)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(dues)]
    assert statistics.fmean(gaps) == pytest.approx(1 / 200, rel=0.02)
    assert statistics.stdev(gaps) == pytest.approx(1 / 200, rel=0.05)


def test_kinds_come_by_their_weights() -> None:
    arrivals = draw_arrivals(MIX, rate=200, seconds=50)
    assert sum(arrival.kind == "b" for arrival in arrivals) == pytest.approx(1000, rel=0.1)


def test_burst_has_its_multiple_of_the_rate_in_the_middle() -> None:
    dues = [arrival.due for arrival in draw_arrivals(MIX, rate=20, seconds=10, burst=Burst(10, 2))]
    within = [due for due in dues if 4 <= due < 6]
    assert len(dues) == count_arrivals(20, 10, Burst(10, 2)) == 200 + 9 * 40
    assert len(within) == pytest.approx(400, rel=0.1)


def test_shares_send_each_arrival_once() -> None:
    arrivals = draw_arrivals(MIX, rate=100, seconds=10)
    shares = [share_of(arrivals, index, 3) for index in range(3)]
    assert sorted((one for share in shares for one in share), key=lambda one: one.due) == arrivals
    assert all(len(share) == pytest.approx(333, rel=0.2) for share in shares)


def test_another_seed_draws_another_schedule() -> None:
    assert draw_arrivals(MIX, 10, 1, seed=0) == draw_arrivals(MIX, 10, 1, seed=0)
    assert draw_arrivals(MIX, 10, 1, seed=0) != draw_arrivals(MIX, 10, 1, seed=1)


@pytest.mark.parametrize("name", SCENARIOS)
def test_weights_of_a_scenario_sum_to_one(name: str) -> None:
    assert sum(SCENARIOS[name].weights.values()) == pytest.approx(1)
