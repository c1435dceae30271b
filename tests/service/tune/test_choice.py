import pytest

from service.tune.choice import Trial, Untunable, choose, settings_for
from service.tune.setups import Setup
from service.tune.trial import Batch, Level

TWO, ONE = Setup(2, 1), Setup(1, 2)


def level(rate: float, p95: float, *, connections: int = 1, refused: int = 0) -> Level:
    return Level(connections, rate, p95 / 2, p95, refused)


def test_highest_rate_that_holds_is_taken() -> None:
    slow_and_many = Trial(TWO, [level(100, 10), level(200, 40), level(300, 60)])
    fast_and_few = Trial(ONE, [level(150, 8), level(250, 45), level(260, 51)])
    assert choose([slow_and_many, fast_and_few], 50) == (fast_and_few, fast_and_few.levels[1])


def test_level_that_refuses_does_not_hold() -> None:
    trial = Trial(TWO, [level(100, 10), level(200, 20, refused=1)])
    assert choose([trial], 50) == (trial, trial.levels[0])


def test_difference_within_the_noise_is_none() -> None:
    first, second = Trial(TWO, [level(100, 10)]), Trial(ONE, [level(102, 9)])
    assert choose([first, second], 50)[0] is first


def test_target_that_nothing_holds_is_said_with_what_the_fastest_setup_takes() -> None:
    trials = [Trial(TWO, [level(10, 90)]), Trial(ONE, [level(15, 62)])]
    with pytest.raises(Untunable, match=r"at or below 50 ms: .* 1 worker with 2 threads took 62\.0 ms"):
        choose(trials, 50)


@pytest.mark.parametrize(("alone", "wait"), [(2, "30"), (45, "5")])
def test_wait_leaves_time_for_the_work(alone: float, wait: str) -> None:
    values = settings_for(Trial(TWO, [level(100, alone)]), Batch(32, 40), 50)
    assert values == {
        "GLIMPSE_WORKERS": "2",
        "GLIMPSE_THREADS": "1",
        "GLIMPSE_MAX_WAIT_MS": wait,
        "GLIMPSE_MAX_BATCH": "32",
    }
