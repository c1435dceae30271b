"""What goes the fast path and what the application's way, on real connections; each says who it is."""

import asyncio
import dataclasses
import gc
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from service.call import Call
from service.errors import EmptyBody
from service.fast_path import MOST_BYTES, FastPath
from service.fast_protocol import FastProtocol, _WholeExchange
from service.gate import Gate
from service.lane import LoopLane
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.observer import Observer
from service.parts import Parts, build_parts
from service.settings import Settings
from tests.support import eventually

HEAD = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"
WHOLE = HEAD % 7 + b"\r\npicture"
KEY = "secret"
LENGTHY = 10_000_000  # bytes, more than is on its way between two ends


@dataclass
class Served:
    port: int
    metrics: Metrics
    lifecycle: Lifecycle
    server: uvicorn.Server
    may_answer: threading.Event = field(default_factory=threading.Event)

    def answered(self, status: int) -> float:
        labels = {"route": "/classify", "status": str(status), "model": "", "version": ""}
        return self.metrics.registry.get_sample_value("glimpse_requests_total", labels) or 0.0

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as one:
            yield one

    def ask(self, sent: bytes) -> list[str]:
        """The texts of what is answered, in its order, until the connection is closed or has no more."""
        with self.connected() as connection:
            connection.sendall(sent)
            return texts(connection)


def texts(connection: socket.socket) -> list[str]:
    """Status and body of each answer that comes, until nothing does for a while."""
    found: list[str] = []
    received = b""
    with suppress(TimeoutError):
        while part := connection.recv(100_000):
            connection.settimeout(0.3)
            received += part
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length
        end = int(length[1])
        found.append(f"{head.split()[1].decode()} {rest[:end].decode()}")
        received = rest[end:]
    return found


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Say how many bytes came."""
    count, more = 0, True
    while more:
        message = await receive()
        count += len(message.get("body", b""))
        more = message.get("more_body", False)
    await PlainTextResponse(f"the application, {scope['path']}, {count} bytes")(scope, receive, send)


@contextmanager
def serving(parts: Parts, settings: Settings | None = None, app: ASGIApp = application) -> Iterator[Served]:
    """A server whose function for /classify fails as the body says, or waits until it may answer."""
    failures: dict[bytes, Exception] = {
        b"goes...": ClientDisconnect(),
        b"refused": EmptyBody(),
        b"breaks!": KeyError("inner"),
        b"no room": MemoryError(),
    }

    async def classify(_: Parts, call: Call) -> bytes:
        whole = call.body
        assert isinstance(whole, bytes)
        if whole in failures:
            raise failures[whole]
        while whole == b"waiting" and not served.may_answer.is_set():
            await asyncio.sleep(0.01)
        if whole == b"lengthy":
            return bytes(LENGTHY)
        return b"the fast path, %b, %d bytes" % (call.query, len(whole))

    metrics, lifecycle = Metrics("1", 1), Lifecycle()
    observer = Observer(metrics, lifecycle)
    protocol = FastProtocol.made(5.0, Gate(LoopLane(1.0), observer), lambda: None)
    own = dataclasses.replace(parts, settings=settings or Settings(), observer=observer)
    protocol.fast_path = FastPath(own, {"/classify": classify})
    config = uvicorn.Config(app, http=protocol, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        served = Served(listener.getsockname()[1], metrics, lifecycle, server)
        try:
            yield served
        finally:
            served.may_answer.set()
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def parts(artifacts: Path) -> Parts:
    return build_parts(Settings(artifacts=artifacts, default_model="cnn"), "1")


@pytest.fixture
def served(parts: Parts) -> Iterator[Served]:
    with serving(parts) as one:
        yield one


def fast(length: int = 7, query: str = "") -> str:
    return f"200 the fast path, {query}, {length} bytes"


def slow(length: int = 7, path: str = "/classify") -> str:
    return f"200 the application, {path}, {length} bytes"


def test_what_comes_as_a_whole_goes_the_fast_path(served: Served) -> None:
    assert served.ask(WHOLE) == [fast()]
    assert eventually(lambda: served.answered(200) == 1)


def test_arguments_go_along(served: Served) -> None:
    assert served.ask(WHOLE.replace(b"/classify", b"/classify?model=cnn&version=2")) == [
        fast(query="model=cnn&version=2")
    ]


def test_largest_body_in_many_pieces_goes_the_fast_path(served: Served) -> None:
    assert served.ask(HEAD % MOST_BYTES + b"\r\n" + bytes(MOST_BYTES)) == [fast(MOST_BYTES)]


def test_head_and_body_may_come_one_after_the_other(served: Served) -> None:
    with served.connected() as connection:
        connection.sendall(WHOLE[:-7])
        time.sleep(0.005)
        connection.sendall(WHOLE[-7:])
        assert texts(connection) == [fast()]


def test_body_that_does_not_come_soon_is_the_applications(served: Served) -> None:
    with served.connected() as connection:
        connection.sendall(WHOLE[:-3])
        time.sleep(0.3)
        connection.sendall(WHOLE[-3:])
        assert texts(connection) == [slow()]


@pytest.mark.parametrize(
    ("sent", "length"),
    [
        (HEAD % 7 + b"Origin: https://elsewhere\r\n\r\npicture", 7),
        (HEAD % 7 + b"Expect: something\r\n\r\npicture", 7),
        (b"POST /classify HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7\r\npicture\r\n0\r\n\r\n", 7),
        (b"POST /classify HTTP/1.1\r\n\r\n", 0),
        (HEAD % (MOST_BYTES + 1) + b"\r\n" + bytes(MOST_BYTES + 1), MOST_BYTES + 1),
        (WHOLE.replace(b"/classify", b"/classify?a#b"), 7),
        (WHOLE.replace(b"POST", b"PUT"), 7),
        (HEAD % 7 + b"Via: one\r\nVia: another\r\n\r\npicture", 7),
    ],
    ids=["origin", "expectation", "chunks", "no length", "large", "fragment", "method", "twice"],
)
def test_other_requests_are_the_applications(sent: bytes, length: int, served: Served) -> None:
    assert served.ask(sent) == [slow(length)]


@pytest.mark.parametrize("pause", [0.01, 0.2])
def test_who_sends_a_long_address_and_leaves_is_forgotten(pause: float, served: Served) -> None:
    sent = WHOLE.replace(b"/classify", b"/classify?model=" + b"a" * 66_000)
    with served.connected() as connection:
        connection.sendall(sent[:60_000])  # the rest of the head is not counted with it
        time.sleep(0.05)
        connection.sendall(sent[60_000:-3])
        time.sleep(pause)
    assert eventually(lambda: not served.server.server_state.connections)


def test_nothing_of_an_answered_request_is_kept_with_its_connection(served: Served) -> None:
    gc.disable()
    try:
        with served.connected() as connection:
            connection.sendall(WHOLE)
            assert texts(connection) == [fast()]
            assert not [one for one in gc.get_objects() if type(one) is _WholeExchange]
    finally:
        gc.enable()


def test_paths_without_a_function_are_the_applications(served: Served) -> None:
    path = "/classify/batch"
    assert served.ask(WHOLE.replace(b"/classify", path.encode())) == [slow(path=path)]


def test_bodies_beyond_the_limit_are_the_applications(parts: Parts) -> None:
    with serving(parts, Settings(max_body_bytes=6)) as served:
        assert served.ask(WHOLE) == [slow()]


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        (b"", slow()),
        (b"X-API-Key: wrong\r\n", slow()),
        (b"X-API-Key: secret\r\n", fast()),
        (b"Authorization: Bearer secret\r\n", fast()),
    ],
)
def test_who_has_no_key_is_the_applications(header: bytes, answer: str, parts: Parts) -> None:
    with serving(parts, Settings(api_keys=KEY)) as served:
        assert served.ask(HEAD % 7 + header + b"\r\npicture") == [answer]


def test_answers_to_requests_sent_ahead_are_in_their_order(served: Served) -> None:
    waiting = WHOLE.replace(b"picture", b"waiting")
    with served.connected() as connection:
        connection.sendall(waiting + WHOLE + WHOLE)
        time.sleep(0.2)
        served.may_answer.set()
        assert texts(connection) == [fast(), slow(), slow()]


def test_connection_serves_one_request_after_the_other(served: Served) -> None:
    with served.connected() as connection:
        for _ in range(3):
            connection.sendall(WHOLE)
            assert texts(connection) == [fast()]


@pytest.mark.parametrize(
    "sent",
    [HEAD % 7 + b"Connection: close\r\n\r\npicture", WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0")],
    ids=["close", "HTTP/1.0"],
)
def test_connection_ends_where_the_caller_wants_it(sent: bytes, served: Served) -> None:
    with served.connected() as connection:
        connection.sendall(sent)
        received = b"".join(iter(lambda: connection.recv(10_000), b""))
    assert received.lower().count(b"connection: close") == 1


def test_connection_ends_with_its_answer_when_the_service_stops(served: Served) -> None:
    served.lifecycle.is_stopping = True
    with served.connected() as connection:
        connection.sendall(WHOLE)
        received = b"".join(iter(lambda: connection.recv(10_000), b""))
    assert received.lower().count(b"connection: close") == 1


def test_connection_without_another_request_is_closed(served: Served) -> None:
    served.server.config.timeout_keep_alive = 1
    with served.connected() as connection:
        connection.sendall(WHOLE)
        started = time.monotonic()
        b"".join(iter(lambda: connection.recv(10_000), b""))
    assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"refused", 400, "empty_body"),
        (b"breaks!", 500, "internal_error"),
        (b"no room", 503, "overloaded"),
    ],
)
def test_what_fails_is_explained_and_counted(body: bytes, status: int, code: str, served: Served) -> None:
    (answer,) = served.ask(WHOLE.replace(b"picture", body))
    assert answer.startswith(f'{status} {{"error":{{"code":"{code}"')
    assert "inner" not in answer
    assert eventually(lambda: served.answered(status) == 1)


def test_who_leaves_before_the_answer_is_counted_as_gone(served: Served) -> None:
    with served.connected() as connection:
        connection.sendall(WHOLE.replace(b"picture", b"waiting"))
        time.sleep(0.2)
    time.sleep(0.2)
    served.may_answer.set()
    assert eventually(lambda: served.answered(499) == 1)


def test_who_is_found_to_have_left_is_counted_as_gone(served: Served) -> None:
    with served.connected() as connection:
        connection.sendall(WHOLE.replace(b"picture", b"goes..."))
        assert eventually(lambda: served.answered(499) == 1)


def test_who_leaves_before_all_has_come_is_told_to_the_application(parts: Parts) -> None:
    seen = threading.Event()

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        seen.set()

    with serving(parts, app=app) as served:
        with served.connected() as connection:
            connection.sendall(WHOLE[:-3])
            time.sleep(0.01)
        assert seen.wait(5)


def test_answer_waits_until_the_one_before_is_read(served: Served) -> None:
    with served.connected() as connection:
        connection.sendall(WHOLE.replace(b"picture", b"lengthy"))
        assert eventually(lambda: served.answered(200) == 1)
        connection.sendall(WHOLE)
        time.sleep(0.3)
        assert served.answered(200) == 1
        assert texts(connection)[1:] == [fast()]
    assert eventually(lambda: served.answered(200) == 2)


def test_what_is_not_done_when_the_time_to_stop_is_over_is_told_so(served: Served) -> None:
    with served.connected() as connection:
        connection.sendall(WHOLE.replace(b"picture", b"waiting"))
        time.sleep(0.2)
        served.server.should_exit = True
        (answer,) = texts(connection)
    assert answer.startswith("503")
    assert "GLIMPSE_GRACE_SECONDS" in answer
