"""Requests and the moments at which they are due in, how long after each it was answered out.

A load test's generator checks every answer, and takes as long for a small request as the service does. This
one only sends and waits, so that it takes little from the CPUs which it shares with the service.
"""

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Self
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

from service.tune.calls import CallError, Timed

_CONNECTIONS = 32  # more than are ever busy, unless the service falls behind
_PATIENCE = 30.0  # seconds without any answer, after which it is taken for hung
_PAUSE = 0.0001  # seconds between two looks for a free connection
_CHUNK = 1 << 16

Requests = Sequence[tuple[float, bytes]]


def call_at(url: str, requests: Requests) -> Timed:
    """Send each request when it is due, whatever has become of those before.

    Args:
        url: of the service.
        requests: seconds after the start, ascending, and what to send then, headers and body.

    Raises:
        CallError: an answer other than 200 or 503, or none.
    """
    host, _, port = urlsplit(url).netloc.rpartition(":")
    idle: deque[_Connection] = deque()
    with ExitStack() as opened, selectors.DefaultSelector() as selector:
        for _ in range(_CONNECTIONS):
            one = opened.enter_context(_Connection.to(host, int(port), idle))
            selector.register(one.socket, selectors.EVENT_READ, one)
        started = time.perf_counter()
        with _sending(requests, started, idle):
            answers = list(_receive(selector, len(requests)))
        times = sorted(1000 * seconds for status, seconds in answers if status == 200)
        return Timed(times, time.perf_counter() - started, len(answers) - len(times))


@contextmanager
def _sending(requests: Requests, started: float, idle: "deque[_Connection]") -> Iterator[None]:
    """Send what is due from a thread, which sleeps more exactly than an event loop does."""
    stopped = threading.Event()

    def send() -> None:
        for due, request in requests:
            stopped.wait(max(0, started + due - time.perf_counter()))
            while not idle and not stopped.is_set():
                time.sleep(_PAUSE)
            if stopped.is_set():
                return
            idle.popleft().send(request, started + due)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        stopped.set()
        sender.join()


def _receive(selector: selectors.BaseSelector, count: int) -> Iterator[tuple[int, float]]:
    """The status of each answer, and the seconds from when it was due."""
    left = count
    while left:
        ready = selector.select(_PATIENCE)
        if not ready:
            raise CallError(f"the service gave no answer in {_PATIENCE:.0f} s")
        for key, _ in ready:
            if answer := key.data.receive():
                yield answer
                left -= 1


class _Connection:
    """One connection, among the idle until it is used; httptools calls the methods that begin with `on_`."""

    def __init__(self, connected: socket.socket, idle: "deque[_Connection]") -> None:
        self.socket = connected
        self._idle = idle
        idle.append(self)

    @classmethod
    @contextmanager
    def to(cls, host: str, port: int, idle: "deque[_Connection]") -> Iterator[Self]:
        try:
            connected = socket.create_connection((host, port))
        except OSError as error:
            raise CallError(f"the service can't be reached: {error.strerror or error}") from error
        with connected:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield cls(connected, idle)

    def send(self, request: bytes, due: float) -> None:
        self._due, self._body, self._is_complete = due, b"", False
        self._parser = HttpResponseParser(self)
        self.socket.sendall(request)

    def receive(self) -> tuple[int, float] | None:
        """Status and seconds, where the answer is complete."""
        data = self.socket.recv(_CHUNK)
        now = time.perf_counter()
        if not data:
            raise CallError("the service closed a connection while it was asked")
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            raise CallError(f"the service answers with what is no HTTP: {error}") from error
        if not self._is_complete:
            return None
        status: int = self._parser.get_status_code()
        if status not in {200, 503}:
            raise CallError(f"the service answers {status}: {self._body.decode(errors='replace')}")
        answer = status, now - self._due
        self._idle.append(self)
        return answer

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        self._is_complete = True
