from dataclasses import replace

from loadtest.drive import Load
from loadtest.measure import Run, long_enough, sum_up
from loadtest.results import Generator, Measured, Result
from loadtest.slo import Objective, Slo
from loadtest.verdict import find_breaches

P95 = Objective((Slo("p95", 50),))
BUSY = Result("png", 0.5, "status 503", 503, "2")


def run(results: list[Result], objective: Objective = P95) -> Run:
    generator = Generator(0.1, len(results), 10, 1, [0.1] * len(results))
    measured = Measured(results, [generator], seconds=10)
    return Run(Load(10, 10), measured, find_breaches(measured, objective), [], None)


GOOD, SLOW = (run([Result("png", ms, None)] * 100) for ms in (10, 70))


def test_each_of_several_runs_has_to_hold() -> None:
    assert sum_up([GOOD, GOOD], P95) == ["PASSED: p95 < 50 ms at 10.0/s, and nothing failed"]
    assert sum_up([GOOD, SLOW, SLOW], P95) == [
        "FAILED: p95 is 70.00 ms, 20.00 ms over the limit of 50 ms (run 2 of 3)",
        "FAILED: p95 is 70.00 ms, 20.00 ms over the limit of 50 ms (run 3 of 3)",
    ]


def test_success_within_a_budget_says_so() -> None:
    budget = Objective(P95.slos, 0.01)
    within = run([*[Result("png", 10, None)] * 99, BUSY], budget)
    assert sum_up([within], budget) == [
        "PASSED: p95 < 50 ms, refused <= 1% at 10.0/s, and nothing else failed"
    ]


def test_refusals_are_in_no_percentile() -> None:
    half = run([*[Result("png", 10, None)] * 50, *[BUSY] * 50])
    assert half.summaries[-1].count == 50
    assert half.summaries[-1].p50 == 10
    assert half.failed == 0.5


def test_run_of_refusals_alone_can_be_described() -> None:
    nothing = run([BUSY] * 10)
    assert nothing.summaries == []
    assert "10 requests, 1.0/s, were due" in nothing.describe()


def test_load_is_made_long_enough_for_its_percentiles() -> None:
    load = Load(2, 5)
    assert long_enough(load, P95) == replace(load, duration=10)
    assert long_enough(load, Objective((Slo("max", 50),))) == load
    assert long_enough(Load(100, 5), Objective((Slo("p99", 50),))) == Load(100, 5)
