"""Connections that dawdle, or ask for much ahead, against the real service with little patience."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from loadtest.server import Service, running_service
from tests.support import PICTURES, counted, eventually, service_command

CAT = (PICTURES / "cat.png").read_bytes()
HEADER_SECONDS = 1.0
STALL_SECONDS = 2.0
GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
GET_MUCH = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def settings(artifacts: Path) -> dict[str, str]:
    return {
        "GLIMPSE_ARTIFACTS": str(artifacts),
        "GLIMPSE_WORKERS": "1",
        "GLIMPSE_HEADER_SECONDS": str(HEADER_SECONDS),
        "GLIMPSE_KEEP_ALIVE_SECONDS": "2",
        "GLIMPSE_STALL_SECONDS": str(STALL_SECONDS),
        "GLIMPSE_DRAIN_SECONDS": "0",
    }


@pytest.fixture(scope="module")
def service(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("protocol") / "service.log"
    with running_service(service_command(), settings, log) as service:
        yield service


@pytest.fixture
def connection(service: Service) -> Iterator[socket.socket]:
    with connected(service) as one:
        yield one


@contextmanager
def connected(service: Service) -> Iterator[socket.socket]:
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as one:
        yield one


def ask_without_reading(service: Service, connection: socket.socket) -> None:
    """Ten at a time, until their answers come no further, which then fill all that buffers them."""
    with httpx.Client(base_url=service.url) as http:

        def answered() -> float:
            return counted(http, "glimpse_requests_total", route="(none)", status="200")

        def is_answered() -> bool:
            return answered() >= goal

        goal = answered()
        while eventually(is_answered, 1):
            connection.sendall(GET_MUCH * 10)
            goal += 10


def read_answer(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"}"):
        part = connection.recv(10_000)
        if not part:
            break
        received += part
    return received


def assert_closed_soon(connection: socket.socket, seconds: float) -> None:
    started = time.monotonic()
    assert connection.recv(100) == b""
    assert time.monotonic() - started < seconds


def test_connection_that_never_asks_is_closed(connection: socket.socket) -> None:
    assert_closed_soon(connection, HEADER_SECONDS + 2)


def test_empty_lines_after_an_answer_buy_no_time(connection: socket.socket) -> None:
    connection.sendall(GET)
    assert b"200 OK" in read_answer(connection)
    connection.sendall(b"\r\n")
    assert_closed_soon(connection, HEADER_SECONDS + 2)


def test_headers_that_do_not_end_are_cut_off_on_a_used_connection_too(connection: socket.socket) -> None:
    connection.sendall(GET)
    read_answer(connection)
    connection.sendall(GET[:-4])
    assert_closed_soon(connection, HEADER_SECONDS + 2)


def test_half_a_request_sent_ahead_does_not_cost_the_answer_before_it(connection: socket.socket) -> None:
    head = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(CAT)
    connection.sendall(head + CAT[:100])
    time.sleep(1.5 * HEADER_SECONDS)  # a body has its own time
    connection.sendall(CAT[100:] + GET[:10])
    assert b'"class":"cat"' in read_answer(connection)
    connection.sendall(GET[10:])
    assert b"200 OK" in read_answer(connection)


def test_requests_sent_ahead_are_answered_in_turn(connection: socket.socket) -> None:
    connection.sendall(GET * 3)
    received = b""
    while received.count(b'{"status":"ok"}') < 3:
        received += read_answer(connection)
    assert received.count(b"200 OK") == 3


def test_refusal_before_a_long_body_is_read_to_its_end(connection: socket.socket) -> None:
    head = b"POST /classify?model=none HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    connection.sendall(head + bytes(500_000))
    assert b"404 Not Found" in read_answer(connection)
    connection.sendall(bytes(500_000) + GET)
    assert b"200 OK" in read_answer(connection)


def test_large_body_and_what_follows_it_are_read(connection: socket.socket) -> None:
    head = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    connection.sendall(head + bytes(1_000_000))
    assert b"unsupported_format" in read_answer(connection)
    connection.sendall(GET)
    assert b"200 OK" in read_answer(connection)


def test_thousands_of_requests_sent_ahead_end_the_connection(connection: socket.socket) -> None:
    connection.sendall(GET * 5000)
    received = b"".join(iter(lambda: received_by(connection), b""))
    assert received.count(b"200 OK") < 100


def test_answers_that_nobody_reads_end_the_connection(connection: socket.socket) -> None:
    connection.sendall(GET_MUCH * 10)
    time.sleep(STALL_SECONDS + 1)
    received = b"".join(iter(lambda: received_by(connection), b""))
    assert received.count(b"200 OK") < 10


def test_client_that_does_not_read_does_not_hold_up_the_stop(settings: dict[str, str]) -> None:
    with running_service(service_command(), settings) as service, connected(service) as connection:
        ask_without_reading(service, connection)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(timeout=STALL_SECONDS + 5) == 0


def test_client_that_leaves_while_it_is_answered_is_no_failure(service: Service) -> None:
    assert service.log is not None
    with connected(service) as connection:
        ask_without_reading(service, connection)
    with httpx.Client(base_url=service.url) as http:
        assert eventually(lambda: counted(http, "glimpse_requests_total", status="499") >= 1)
    assert "error" not in service.log.read_text()


def received_by(connection: socket.socket) -> bytes:
    """The next bytes; none where the connection has ended in any way."""
    try:
        return connection.recv(1_000_000)
    except ConnectionResetError:
        return b""
