import pytest

from loadtest.slo import DEFAULT, Objective, Refusals, Slo, SloError, combine, parse_bound


@pytest.mark.parametrize(
    ("text", "slo"),
    [("p95=50ms", Slo("p95", 50)), ("max=1.5s", Slo("max", 1500)), ("p50=.5ms", Slo("p50", 0.5))],
)
def test_bound_is_read(text: str, slo: Slo) -> None:
    assert parse_bound(text) == slo


def test_share_of_refusals_is_read() -> None:
    assert parse_bound("refused=0.1%") == Refusals(0.001)


@pytest.mark.parametrize(
    "text",
    [
        "p95=50",
        "p90=50ms",
        "p95",
        "p95=-1ms",
        "p95=0ms",
        "p95=1.2.3ms",
        "=5ms",
        "refused=1",
        "refused=5ms",
        "refused=100%",
        "p95=5%",
    ],
)
def test_what_is_no_bound_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SloError, match="is not allowed: give MEASURE=TIME such as p95=50ms"):
        parse_bound(text)


def test_nothing_may_be_refused_and_p95_is_50_ms_where_nothing_is_said() -> None:
    assert combine([]) == Objective((DEFAULT,))
    assert combine([Refusals(0.01)]) == Objective((DEFAULT,), 0.01)
    assert str(combine([Slo("p99", 80), Refusals(0.001)])) == "p99 < 80 ms, refused <= 0.1%"


@pytest.mark.parametrize(("measure", "least"), [("p50", 2), ("p95", 20), ("p99", 100), ("max", 1)])
def test_percentile_takes_enough_requests_to_be_another_than_the_slowest(measure: str, least: int) -> None:
    slo = Slo(measure, 1)
    assert slo.least_requests == least
    assert measure == "max" or slo.of(range(least)) < least - 1
