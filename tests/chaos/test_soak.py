import random

import pytest

from chaos.drift import Slice, change_of
from chaos.soak import judge
from loadtest.results import Generator, Measured, Result

MEASURED = Measured([Result("png", 5.0, None)], [Generator(0.1, 1, 1.0, 1, [0.1])], 1.0)


def slices(p95: float = 1.0, memory: float = 1.0, noise: float = 0.05) -> list[Slice]:
    """An hour whose figures grow by these factors from its beginning to its end."""
    rng = random.Random(0)  # noqa: S311 - noise, not a secret
    return [
        Slice(30.0 * at, 4.0, 10 * p95 ** (at / 120) * rng.gauss(1, noise), 150 * memory ** (at / 120), 50)
        for at in range(120)
    ]


def test_steady_figures_hold_for_all_their_noise() -> None:
    assert judge(slices(), MEASURED, (50, 50), []).breaches == []


@pytest.mark.parametrize(
    ("grown", "says"),
    [(slices(p95=1.3), "p95 went from 10."), (slices(memory=1.3), "memory went from 1")],
)
def test_growth_is_found(grown: list[Slice], says: str) -> None:
    (breach,) = judge(grown, MEASURED, (50, 50), []).breaches
    assert breach.startswith(says)
    assert breach.endswith("more than 5%")


def test_descriptor_that_stays_open_is_found() -> None:
    (breach,) = judge(slices(), MEASURED, (50, 51), []).breaches
    assert breach == "51 descriptors are open in the workers, 1 more than before"


def test_series_has_a_line_a_slice() -> None:
    outcome = judge(slices(), MEASURED, (50, 50), [])
    assert list(outcome.series[0]) == ["second", "p50_ms", "p95_ms", "memory_mb", "descriptors"]
    assert len(outcome.series) == 121
    assert outcome.charts[0].title == "Times over the soak"


def test_warm_up_is_no_part_of_a_change() -> None:
    assert change_of([9.0] * 3 + [5.0] * 27).share == 0


def test_few_noisy_figures_prove_no_change() -> None:
    assert not change_of([5.0, 4.0, 6.0, 5.5, 4.5, 5.0, 6.5, 4.5, 5.5, 6.0]).is_above(0.05)


def test_times_of_a_short_run_are_shown_and_not_compared() -> None:
    outcome = judge(slices(p95=2.0**40)[:5], MEASURED, (50, 50), [])
    assert outcome.breaches == []
    assert "too short to compare" in outcome.figures["p95"]
