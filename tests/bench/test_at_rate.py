import socket
import threading
from collections.abc import Iterator

import pytest

from bench.at_rate import call_at
from loadtest.server import free_port
from service.tune.calls import CallError, form
from tests.support import encode, gradient

REQUEST = form("/classify", "file", [encode(gradient())])


@pytest.fixture
def silent() -> Iterator[tuple[str, socket.socket]]:
    """The URL of what takes connections and reads nothing, and its socket."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", listening


def test_every_request_is_sent_when_it_is_due(server: str) -> None:
    timed = call_at(server, [(0.0, REQUEST), (0.1, REQUEST), (0.1, REQUEST), (0.3, REQUEST)])
    assert len(timed.times) + timed.refused == 4
    assert timed.times == sorted(timed.times)
    assert timed.seconds >= 0.3
    assert timed.times[0] < 300  # from when it was due, not from the start


def test_what_has_to_wait_for_a_connection_was_due_before(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.at_rate._CONNECTIONS", 1)
    timed = call_at(server, [(0.0, REQUEST)] * 20)
    assert timed.times[-1] == pytest.approx(1000 * timed.seconds, rel=0.2)


def test_answer_that_is_a_failure_is_told(server: str) -> None:
    requests = [(0.0, form("/classify", "file", [b"no picture"])), (60.0, REQUEST)]
    with pytest.raises(CallError, match=r"the service answers 415: .*unsupported_format"):
        call_at(server, requests)


def test_nothing_that_listens_is_told() -> None:
    with pytest.raises(CallError, match="can't be reached"):
        call_at(f"http://127.0.0.1:{free_port()}", [(0.0, REQUEST)])


@pytest.mark.parametrize("request_bytes", [len(REQUEST), 50_000_000], ids=["sent", "not read"])
def test_service_that_answers_nothing_is_told(
    silent: tuple[str, socket.socket], request_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.at_rate._PATIENCE", 0.2)
    request = REQUEST + bytes(request_bytes - len(REQUEST))
    with pytest.raises(CallError, match="left 1 requests without an answer"):
        call_at(silent[0], [(0.0, request)])


def test_service_that_breaks_off_is_told(silent: tuple[str, socket.socket]) -> None:
    url, listening = silent

    def break_off() -> None:
        for _ in range(32):
            listening.accept()[0].close()

    breaking = threading.Thread(target=break_off)
    breaking.start()
    with pytest.raises(CallError, match=r"closed a connection|broke a connection off|takes no more"):
        call_at(url, [(0.0, REQUEST), (0.1, REQUEST)])
    breaking.join()
