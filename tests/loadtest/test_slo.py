import pytest

from loadtest.slo import Slo, SloError, parse_slo


@pytest.mark.parametrize(
    ("text", "slo"),
    [("p95=50ms", Slo("p95", 50)), ("max=1.5s", Slo("max", 1500)), ("p50=.5ms", Slo("p50", 0.5))],
)
def test_bound_is_read(text: str, slo: Slo) -> None:
    assert parse_slo(text) == slo


@pytest.mark.parametrize("text", ["p95=50", "p90=50ms", "p95", "p95=-1ms", "p95=0ms", "p95=1.2.3ms", "=5ms"])
def test_what_is_no_bound_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SloError, match="is not allowed: give MEASURE=TIME such as p95=50ms"):
        parse_slo(text)
