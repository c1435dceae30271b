import pytest

from loadtest.results import Generator, Measured, Result, percentile, summarise
from loadtest.slo import Objective, Slo
from loadtest.verdict import find_breaches

P95 = Objective((Slo("p95", 50),))
BUSY = Result("png", 0.5, "status 503, not 200: overloaded", 503, "2")


def results(*milliseconds: float) -> list[Result]:
    return [Result("png", value, None) for value in milliseconds]


def run(
    results: list[Result],
    offered: int = 100,
    sending: float = 10,
    cpu: float = 0.1,
    lag: float = 0.1,
    in_flight: int = 1,
) -> Measured:
    return Measured(results, [Generator(cpu, offered, sending, in_flight, [lag] * offered)], seconds=10)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_percentile_is_the_smallest_value_that_the_share_does_not_exceed(
    share: float, expected: float
) -> None:
    assert percentile(range(1, 101), share) == expected


def test_summary_does_not_need_its_input_in_order() -> None:
    summary = summarise("png", results(3, 1, 2))
    assert (summary.count, summary.p50, summary.largest) == (3, 2, 3)


def test_run_within_the_limit_has_no_breach() -> None:
    assert find_breaches(run(results(*[10] * 96, *[500] * 4)), P95) == []


def test_p95_over_the_limit_says_by_how_much() -> None:
    assert find_breaches(run(results(*[10] * 94, *[62] * 6)), P95) == [
        "p95 is 62.00 ms, 12.00 ms over the limit of 50 ms"
    ]


def test_every_bound_that_breaks_is_named() -> None:
    objective = Objective((Slo("p50", 5), Slo("p99", 20), Slo("max", 15)))
    found = find_breaches(run(results(*[10] * 99, 16)), objective)
    assert [breach.split()[0] for breach in found] == ["p50", "max"]


def test_failed_request_is_a_breach_and_shows_its_error() -> None:
    (breach,) = find_breaches(run([*results(1, 1), Result("png", 1, "status 503")], offered=3), P95)
    assert breach == "1 of 3 requests failed, the first with: status 503"


def test_refusal_is_a_breach_where_none_is_allowed() -> None:
    (breach,) = find_breaches(run([*results(*[1] * 99), BUSY]), P95)
    assert breach == (
        "1 of 100 requests were refused, 1%, and none may be; the first with: status 503, not 200: overloaded"
    )


def test_refusals_within_their_budget_are_no_breach_and_beyond_it_are() -> None:
    budget = Objective(P95.slos, refused=0.02)
    assert find_breaches(run([*results(*[1] * 98), BUSY, BUSY]), budget) == []
    (breach,) = find_breaches(run([*results(*[1] * 97), BUSY, BUSY, BUSY]), budget)
    assert "3 of 100 requests were refused, 3%, more than the 2% of the objective" in breach


def test_refusals_do_not_make_the_percentiles_better() -> None:
    budget = Objective(P95.slos, refused=0.5)
    (breach,) = find_breaches(run([*results(*[10] * 46, *[62] * 4), *[BUSY] * 50]), budget)
    assert breach.startswith("p95 is 62.00 ms")


def test_all_refused_is_a_breach() -> None:
    (breach,) = find_breaches(run([BUSY] * 100), Objective(P95.slos, refused=0.99))
    assert "100 of 100 requests were refused" in breach


@pytest.mark.parametrize("other", [Result("png", 1, "busy", 503), Result("png", 1, "late", 504, "2")])
def test_only_a_503_that_says_when_to_come_back_is_a_refusal(other: Result) -> None:
    (breach,) = find_breaches(run([*results(*[1] * 99), other]), Objective(P95.slos, refused=0.1))
    assert breach.startswith("1 of 100 requests failed")


def test_request_without_an_answer_is_a_breach() -> None:
    assert find_breaches(run(results(1), offered=3), P95) == ["2 of 3 requests were never answered"]


def test_run_without_requests_is_a_breach() -> None:
    assert find_breaches(run([], offered=0), P95) == ["no request was answered"]


def test_rate_that_was_not_reached_is_a_breach() -> None:
    (breach,) = find_breaches(run(results(*[1] * 100), sending=10.214), P95)
    assert breach.startswith("only 9.8 of 10.0 requests/s were offered, 98.0%")


def test_last_request_as_late_as_it_may_be_is_no_lower_rate() -> None:
    late = Measured(results(*[1] * 20), [Generator(0.1, 20, 0.11, 1, [0.1] * 20)], seconds=0.1)
    assert find_breaches(late, P95) == []


def test_generator_out_of_cpu_is_a_breach() -> None:
    (breach,) = find_breaches(run(results(*[1] * 100), cpu=0.97), P95)
    assert "97% of a CPU, more than 90%; raise --processes" in breach


def test_late_generator_is_a_breach_in_proportion_to_the_limit() -> None:
    (breach,) = find_breaches(run(results(*[20] * 100), lag=12), P95)
    assert "late by 12.00 ms (p99), more than 10 ms" in breach
    assert find_breaches(run(results(*[20] * 100), lag=12), Objective((Slo("p95", 500),))) == []


def test_generator_that_ran_out_of_connections_is_a_breach() -> None:
    (breach,) = find_breaches(run(results(*[1] * 100), in_flight=1000), P95)
    assert breach.startswith("1000 requests were in flight")
