import pytest

from bench.at_rate import call_at
from loadtest.server import free_port
from service.tune.calls import CallError, form
from tests.support import encode, gradient

REQUEST = form("/classify", "file", [encode(gradient())])


def test_each_answer_is_timed_from_when_it_was_due(server: str) -> None:
    timed = call_at(server, [(0.0, REQUEST), (0.1, REQUEST), (0.1, REQUEST), (0.3, REQUEST)])
    assert len(timed.times) + timed.refused == 4
    assert timed.times == sorted(timed.times)
    assert timed.seconds >= 0.3


def test_what_had_to_wait_for_a_connection_was_due_before(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.at_rate._CONNECTIONS", 1)
    timed = call_at(server, [(0.0, REQUEST)] * 20)
    assert timed.times[-1] > 3 * timed.times[0]


def test_answer_that_is_a_failure_is_told(server: str) -> None:
    requests = [(0.0, form("/classify", "file", [b"no picture"])), (60.0, REQUEST)]
    with pytest.raises(CallError, match=r"the service answers 415: .*unsupported_format"):
        call_at(server, requests)


def test_nothing_that_listens_is_told() -> None:
    with pytest.raises(CallError, match="can't be reached"):
        call_at(f"http://127.0.0.1:{free_port()}", [(0.0, REQUEST)])
