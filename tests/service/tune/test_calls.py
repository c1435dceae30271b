import pytest

from loadtest.server import free_port
from service.tune.calls import CallError, call, form
from tests.support import encode, gradient

PICTURE = encode(gradient())


def test_every_answer_of_every_connection_is_timed(server: str) -> None:
    timed = call(server, [form("/classify", "file", [PICTURE])], connections=3, seconds=0.3)
    assert len(timed.times) >= 3
    assert timed.times == sorted(timed.times)
    assert timed.refused == 0
    assert timed.seconds >= 0.3
    assert timed.rate == len(timed.times) / timed.seconds


def test_form_holds_as_many_pictures_as_given(server: str) -> None:
    request = form("/classify/batch", "files", [PICTURE, PICTURE, PICTURE])
    assert call(server, [request], connections=1, seconds=0.1).times


def test_answer_that_is_a_failure_is_told(server: str) -> None:
    with pytest.raises(CallError, match=r"the service answers 415: .*unsupported_format"):
        call(server, [form("/classify", "file", [b"no picture"])], connections=2, seconds=0.1)


def test_nothing_that_listens_is_told() -> None:
    with pytest.raises(CallError, match="can't be reached"):
        call(f"http://127.0.0.1:{free_port()}", [form("/classify", "file", [PICTURE])], 1, 0.1)
