import math

from chaos.clock import Phase, judge_stalls, judge_stamps

PHASES = [Phase(0, 1000.0, 1005.0), Phase(3600, 1005.0, 1009.0)]


def test_stamps_of_each_clock_are_sane() -> None:
    assert judge_stamps([1001.0, 1004.9, 4606.0], PHASES) == []


def test_stamp_that_no_clock_showed_is_found() -> None:
    (breach,) = judge_stamps([1001.0, 4606.0, 2000.0], PHASES)
    assert breach == "1 of 3 lines of the log have a time that no clock showed"


def test_log_that_does_not_follow_its_clock_is_found() -> None:
    (breach,) = judge_stamps([1001.0], PHASES)
    assert breach == "no line of the log has the time of a clock that is wrong by [3600] s"


def test_deadline_has_to_pass_when_it_is_due() -> None:
    assert judge_stalls([1.0, 1.2]) == []
    for wrong in (0.2, 3601.0, math.inf):
        (breach,) = judge_stalls([1.0, wrong])
        assert breach.startswith("1 of 2 stalled bodies were not cut off with 408 within 0.9 to 2.5 s")
