"""Requests for which there is no room, on real connections; the application behind the gate answers 200."""

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from service.errors import Overloaded
from service.gate import Gate
from service.lane import LoopLane
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.observer import Observer
from service.picture_head import PictureHead
from service.protocol import GuardedProtocol
from service.trace import Trace

KEEP_ALIVE_SECONDS = 1
HEAD = PictureHead("/classify", b"", {})
BODY = b"x" * 100_000
REFUSED = {"route": "/classify", "status": "503", "model": "", "version": ""}


class FullLane(LoopLane):
    def check(self, _on_the_way: int = 0) -> None:
        raise Overloaded("no room", retry_after=2)


@dataclass
class Guarded:
    port: int
    metrics: Metrics
    lifecycle: Lifecycle

    def refused(self) -> float:
        return self.metrics.registry.get_sample_value("glimpse_requests_total", REFUSED) or 0.0


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await PlainTextResponse("the application")(scope, receive, send)


@pytest.fixture
def guarded() -> Iterator[Guarded]:
    metrics, lifecycle = Metrics("1", 1), Lifecycle()
    gate = Gate(FullLane(0.03), Observer(metrics, lifecycle))
    config = uvicorn.Config(
        answer,
        http=GuardedProtocol.made(5.0, gate, lambda: None),
        log_config=None,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Guarded(listener.getsockname()[1], metrics, lifecycle)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def connection(guarded: Guarded) -> Iterator[http.client.HTTPConnection]:
    one = http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=10)
    yield one
    one.close()


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, **headers: str
) -> http.client.HTTPResponse:
    body = BODY if method == "POST" else None
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    response.read()
    return response


def test_picture_is_refused_with_all_that_an_answer_has(
    guarded: Guarded, connection: http.client.HTTPConnection
) -> None:
    response = ask(connection, "POST", "/classify?model=cnn", x_request_id="mine")
    assert (response.status, response.getheader("Retry-After")) == (503, "2")
    assert response.getheader("X-Request-ID") == "mine"
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert guarded.refused() == 1


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/classify", {}),
        ("POST", "/elsewhere", {}),
        ("POST", "/classify", {"Origin": "https://elsewhere"}),  # only the application knows whom to tell
    ],
)
def test_all_else_is_the_applications(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str]
) -> None:
    assert ask(connection, method, path, **headers).status == 200


def test_what_passes_in_one_turn_of_the_loop_counts_before_it_reaches_the_lane() -> None:
    async def pass_all() -> tuple[list[bool], bool]:
        lane = LoopLane(0.03)
        await lane.run(lambda: time.sleep(0.05), Trace())  # from which it learns how long work takes
        gate = Gate(lane, Observer(Metrics("1", 1), Lifecycle()))
        in_one_turn = [gate.refusal(HEAD) is None for _ in range(1000)]
        await asyncio.sleep(0)
        return in_one_turn, gate.refusal(HEAD) is None

    passed, later = asyncio.run(pass_all())
    assert passed[0]
    assert not passed[-1]
    assert later


def test_connection_goes_on_after_refusals(connection: http.client.HTTPConnection) -> None:
    statuses = [ask(connection, "POST", "/classify").status]
    first = connection.sock
    statuses += [ask(connection, method, "/classify").status for method in ("POST", "GET", "POST")]
    assert statuses == [503, 503, 200, 503]
    assert connection.sock is first


def test_requests_sent_ahead_are_refused_in_their_turn(guarded: Guarded) -> None:
    get, post = (f"{method} /classify HTTP/1.1\r\nHost: x\r\n" for method in ("GET", "POST"))
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=10) as one:
        one.sendall(f"{get}\r\n{post}Content-Length: 1\r\n\r\nx{get}Connection: close\r\n\r\n".encode())
        received = b"".join(iter(lambda: one.recv(10_000), b""))
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"200"]


def test_refusals_that_nobody_reads_end_the_connection(guarded: Guarded) -> None:
    post, count = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 100_000
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=2) as one:
        with suppress(ConnectionError, TimeoutError):
            one.sendall(post * count)
        time.sleep(3)
        assert guarded.refused() < count / 2


@pytest.mark.parametrize("asks", [True, False], ids=["it is asked to", "the service stops"])
def test_connection_ends_where(guarded: Guarded, connection: http.client.HTTPConnection, asks: bool) -> None:
    guarded.lifecycle.is_stopping = not asks
    response = ask(connection, "POST", "/classify", **({"Connection": "close"} if asks else {}))
    assert response.status == 503
    assert connection.sock is None or connection.sock.recv(1) == b""


@pytest.mark.parametrize("body", [b"", BODY], ids=["never comes", "comes"])
def test_silent_connection_is_closed_though_the_body(guarded: Guarded, body: bytes) -> None:
    head = f"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=10) as one:
        one.sendall(head)
        time.sleep(0.1)  # so that the refusal is out before the body comes
        one.sendall(body)
        received = b"".join(iter(lambda: one.recv(10_000), b""))
    assert received.startswith(b"HTTP/1.1 503 ")
