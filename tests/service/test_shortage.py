import asyncio
import errno
import os
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from loadtest.server import free_port
from service.gate import Gate
from service.lane import LoopLane
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.middleware import ObserveRequests
from service.observer import Observer
from service.protocol import GuardedProtocol
from service.shortage import SHORT, is_shortage
from tests.support import eventually

NO_THREAD = RuntimeError("can't start new thread")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (NO_THREAD, True),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), True),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), True),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)), False),
        (RuntimeError("another"), False),
        (ValueError("can't start new thread"), False),
    ],
)
def test_what_the_machine_lacks_is_told_from_what_is_broken(error: Exception, expected: bool) -> None:
    assert is_shortage(error) is expected


def failing(error: Exception) -> ASGIApp:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error

    return ObserveRequests(app, Observer(Metrics("0", 1), Lifecycle()))


def ask(app: ASGIApp) -> httpx.Response:
    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
            return await http.get("/")

    return asyncio.run(get())


@pytest.mark.parametrize("error", [MemoryError(), NO_THREAD, OSError(errno.EMFILE, "Too many open files")])
def test_request_that_meets_a_shortage_is_put_off_without_a_trace(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    response = ask(failing(error))
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert response.json()["error"]["message"] == SHORT.message
    assert [record.levelname for record in caplog.records if record.name == "service.explanation"] == [
        "WARNING"
    ]
    assert "Traceback" not in caplog.text


def test_request_that_breaks_is_traced_and_nothing_of_it_told(caplog: pytest.LogCaptureFixture) -> None:
    response = ask(failing(KeyError("secret")))
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "Traceback" in caplog.text


class _NoRoom(GuardedProtocol):
    def on_body(self, body: bytes) -> None:  # noqa: ARG002 - what comes does not matter
        raise MemoryError


@pytest.fixture
def roomless() -> Iterator[str]:
    """The URL of a server that has no memory for any body."""
    port = free_port()

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()

    gate = Gate(LoopLane(1.0), Observer(Metrics("0", 1), Lifecycle()))
    protocol = _NoRoom.made(5.0, gate, lambda: None)
    server = uvicorn.Server(uvicorn.Config(app, port=port, http=protocol, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert eventually(lambda: server.started)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def test_body_that_there_is_no_memory_for_is_put_off_too(roomless: str) -> None:
    response = httpx.post(roomless, content=b"picture")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert response.json()["error"]["code"] == "overloaded"
