from chaos.mutants import Answered, judge
from chaos.sender import Sent


def answered(number: int, status: int, seconds: float = 0.1, retry_after: str | None = None) -> Answered:
    return Answered(number, Sent(status, seconds, "oops", retry_after))


def test_classes_refusals_and_a_busy_service_are_right() -> None:
    right = [answered(number, status) for number, status in enumerate((200, 400, 413, 415, 422))]
    outcome = judge([*right, answered(5, 503, retry_after="1")], [])
    assert outcome.breaches == []
    assert outcome.figures["status 422"] == "1"


def test_anything_else_is_told_with_the_number_that_makes_it_again() -> None:
    for status in (500, 0, 503):
        (breach,) = judge([answered(1, 200), answered(7, status)], []).breaches
        assert breach.startswith("1 got another answer, the first mutant 7 (")
        assert breach.endswith(f"status {status}: oops")


def test_one_that_takes_too_long_is_told() -> None:
    (breach,) = judge([answered(16, 200, seconds=6.0)], []).breaches
    assert breach.startswith("1 took over 5 s, the slowest 6.0 s: mutant 16 (JPEG)")
