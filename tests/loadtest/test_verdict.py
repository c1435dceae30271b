import pytest

from loadtest.verdict import Result, find_breaches, percentile, summarise


def results(*milliseconds: float) -> list[Result]:
    return [Result("png", value, None) for value in milliseconds]


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_percentile_is_the_smallest_value_that_the_share_does_not_exceed(
    share: float, expected: float
) -> None:
    assert percentile(range(1, 101), share) == expected


def test_summary_does_not_need_its_input_in_order() -> None:
    summary = summarise("png", results(3, 1, 2))
    assert (summary.count, summary.p50, summary.largest) == (3, 2, 3)


def test_run_within_the_limit_has_no_breach() -> None:
    assert find_breaches(results(*[10] * 96, *[500] * 4), offered=100, limit_p95=50) == []


def test_p95_over_the_limit_says_by_how_much() -> None:
    assert find_breaches(results(*[10] * 94, *[62] * 6), offered=100, limit_p95=50) == [
        "p95 is 62.00 ms, 12.00 ms over the limit of 50 ms"
    ]


def test_failed_request_is_a_breach_and_shows_its_error() -> None:
    (breach,) = find_breaches([*results(1, 1), Result("png", 1, "status 503")], offered=3, limit_p95=50)
    assert breach == "1 of 3 requests failed, the first with: status 503"


def test_request_without_an_answer_is_a_breach() -> None:
    assert find_breaches(results(1), offered=3, limit_p95=50) == ["2 of 3 requests were never answered"]


def test_run_without_requests_is_a_breach() -> None:
    assert find_breaches([], offered=0, limit_p95=50) == ["no request was made"]
