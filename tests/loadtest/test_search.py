from dataclasses import dataclass

import pytest

from loadtest.search import find_highest


@dataclass
class Outcome:
    breaches: list[str]


def search(capacity: float, first: float) -> tuple[float | None, list[float]]:
    found, tried = find_highest(lambda rate: Outcome([] if rate <= capacity else ["late"]), first)
    return found, [rate for rate, _ in tried]


@pytest.mark.parametrize("capacity", [20, 33, 100, 1000])
@pytest.mark.parametrize("first", [1, 20, 500])
def test_highest_rate_is_found_within_the_precision(capacity: float, first: float) -> None:
    found, _ = search(capacity, first)
    assert found is not None
    assert capacity / 1.05 <= found <= capacity


def test_rate_grows_then_is_bisected() -> None:
    _, rates = search(capacity=30, first=10)
    assert rates[:4] == [10, 20, 40, 40]
    assert all(20 < rate < 40 for rate in rates[4:])


def test_nothing_is_found_where_not_even_the_lowest_holds() -> None:
    found, rates = search(capacity=0.5, first=4)
    assert found is None
    assert rates[-1] == 1


def test_rate_below_one_is_found_where_it_is_asked_for() -> None:
    found, _ = find_highest(lambda rate: Outcome([] if rate <= 0.7 else ["late"]), 0.5, lowest=0.5)
    assert found is not None
    assert 0.7 / 1.05 <= found <= 0.7


def test_one_disturbed_run_decides_nothing() -> None:
    disturbed = {2}
    calls = 0

    def attempt(rate: float) -> Outcome:
        nonlocal calls
        calls += 1
        return Outcome(["late"] if calls in disturbed or rate > 100 else [])

    found, _ = find_highest(attempt, 20)
    assert found is not None
    assert found > 95
