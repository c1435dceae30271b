from chaos.crowd import Asked
from chaos.memory import judge
from chaos.sender import Sent

CLASSIFIED = Asked(0.0, 0.1, 200, "")
BUSY = Asked(0.0, 0.1, 503, "overloaded")


def test_refusals_of_large_pictures_break_nothing() -> None:
    heavy = [Sent(status, 0.1, "") for status in (200, 413, 422, 503)]
    assert judge(heavy, [CLASSIFIED, BUSY], [CLASSIFIED], []).breaches == []


def test_each_part_of_the_criterion_is_told() -> None:
    assert judge([Sent(500, 0.1, "oops")], [BUSY], [BUSY], ["the service is gone"]).breaches == [
        "1 of 1 large pictures got what may not be, the first status 500: oops",
        "only 0 of 1 neighbours' requests were classified",
        "1 of 1 requests after that failed, the first with status 503: overloaded",
        "the service is gone",
    ]
