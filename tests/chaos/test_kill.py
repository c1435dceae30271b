from chaos.crowd import Asked
from chaos.kill import Kill, judge

KILL = Kill(began=10.0, dead=10.01, back_seconds=2.0)


def asked(began: float, ended: float, status: int = 200) -> Asked:
    return Asked(began, ended, status, "" if status else "Connection reset by peer")


def test_what_was_in_flight_may_be_lost() -> None:
    outcome = judge([asked(9.99, 10.02, 0), asked(9.98, 10.02), asked(11, 11.1)], [KILL], [])
    assert outcome.breaches == []
    assert outcome.figures["in flight while one died"] == "2"
    assert outcome.figures["lost"] == "1"


def test_what_came_before_or_after_may_not() -> None:
    for lost in (asked(9, 9.9, 0), asked(10.02, 10.1, 500)):
        (breach,) = judge([lost, asked(11, 12)], [KILL], []).breaches
        assert breach.startswith("1 of 1 requests that were not in flight at a kill failed")


def test_worker_that_is_not_replaced_breaks_the_criterion() -> None:
    (breach,) = judge([asked(1, 2)], [Kill(10.0, 10.01, None)], []).breaches
    assert breach == "1 of 1 workers were not replaced within 5 s"
