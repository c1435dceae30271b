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
from contextlib import ExitStack, contextmanager, suppress
from typing import Self
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

from service.tune.calls import CallError, Timed

# More than are busy, unless the service falls behind; few enough that each has its request before the service
# closes it for having none (GLIMPSE_HEADER_SECONDS) at four a second or more.
_CONNECTIONS = 32
_PATIENCE = 30.0  # seconds from when the last was due until the service is taken for hung
_LOOK_SECONDS = 0.5  # from one look at whether the sender is well to the next
_PAUSE = 0.0001  # seconds between two looks for a free connection
_CHUNK = 1 << 16

Requests = Sequence[tuple[float, bytes]]


def call_at(url: str, requests: Requests) -> Timed:
    """Send each request when it is due, whether or not those before have been answered.

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
        sender = _Sender(requests, idle)
        with sender.sending():
            answers = list(_receive(selector, sender))
        times = sorted(1000 * seconds for status, seconds in answers if status == 200)
        return Timed(times, time.perf_counter() - sender.started, len(answers) - len(times))


class _Sender(threading.Thread):
    """Sends what is due; a thread sleeps more exactly than an event loop does."""

    def __init__(self, requests: Requests, idle: "deque[_Connection]") -> None:
        super().__init__(daemon=True)
        self.requests = requests
        self.started = time.perf_counter()
        self.failure: OSError | None = None
        self._idle = idle
        self._stopped = threading.Event()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send within this context, as far as it gets."""
        self.start()
        try:
            yield
        finally:
            self._stopped.set()

    def run(self) -> None:
        for due, request in self.requests:
            self._stopped.wait(max(0, self.started + due - time.perf_counter()))
            while not self._idle and not self._stopped.is_set():
                time.sleep(_PAUSE)
            if self._stopped.is_set():
                return
            try:
                self._idle.popleft().send(request, self.started + due)
            except OSError as error:
                self.failure = error
                return


def _receive(selector: selectors.BaseSelector, sender: _Sender) -> Iterator[tuple[int, float]]:
    """The status of each answer, and the seconds from when it was due."""
    left = len(sender.requests)
    end = sender.started + sender.requests[-1][0] + _PATIENCE
    while left:
        for key, _ in selector.select(_LOOK_SECONDS):
            if answer := key.data.receive():
                yield answer
                left -= 1
        if sender.failure is not None:
            raise CallError(f"the service takes no more requests: {sender.failure}") from sender.failure
        if time.perf_counter() > end:
            raise CallError(f"the service left {left} requests without an answer for {_PATIENCE:.0f} s")


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
            try:
                yield cls(connected, idle)
            finally:
                with suppress(OSError):  # it is broken already
                    connected.shutdown(socket.SHUT_RDWR)  # which ends a `send` that waits, as closing doesn't

    def send(self, request: bytes, due: float) -> None:
        self._due, self._body, self._is_complete = due, b"", False
        self._parser = HttpResponseParser(self)
        self.socket.sendall(request)

    def receive(self) -> tuple[int, float] | None:
        """Status and seconds, where the answer is complete."""
        try:
            data = self.socket.recv(_CHUNK)
            now = time.perf_counter()
            if not data:
                raise CallError("the service closed a connection")
            self._parser.feed_data(data)
        except OSError as error:
            raise CallError(f"the service broke a connection off: {error.strerror or error}") from error
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
