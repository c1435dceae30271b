"""Requests in, how long the service took for each out: connections that ask again once they are answered.

With as many requests always on their way as there are connections, a service shows what it can do. What
clients see that come when they like is for load tests to say, which take far longer.
"""

import asyncio
import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import uvloop
from httptools import HttpParserError, HttpResponseParser

_BOUNDARY = "glimpse-tune"
_ANSWER_SECONDS = 60.0  # beyond these the service is taken for hung


class CallError(Exception):
    """The service gives no answer that could be timed; the message says what it gave."""


@dataclass(frozen=True)
class Timed:
    """What some seconds of calls gave; times are milliseconds, ascending."""

    times: Sequence[float]
    seconds: float
    refused: int  # with 503

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.times) / self.seconds

    def percentile(self, share: float) -> float:
        """The smallest time that at least `share` of all do not exceed; infinite if there is none."""
        return self.times[max(0, math.ceil(share * len(self.times)) - 1)] if self.times else math.inf


def form(path: str, field: str, pictures: Sequence[bytes]) -> bytes:
    """A request that posts pictures as a form's files."""
    head = f'Content-Disposition: form-data; name="{field}"; filename="picture"\r\n\r\n'
    parts = b"".join(f"--{_BOUNDARY}\r\n{head}".encode() + picture + b"\r\n" for picture in pictures)
    body = parts + f"--{_BOUNDARY}--\r\n".encode()
    return post(path, f"multipart/form-data; boundary={_BOUNDARY}", body)


def bare(path: str, picture: bytes) -> bytes:
    """A request that posts a PNG file as it is."""
    return post(path, "image/png", picture)


def post(path: str, content_type: str, body: bytes) -> bytes:
    """A request that posts a body as it is."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: {content_type}\r\n\r\n"
    ).encode() + body


def call(url: str, requests: Sequence[bytes], connections: int, seconds: float) -> Timed:
    """Send the requests in turn, over and over, for some seconds.

    Args:
        url: of the service.
        requests: whole ones, headers and body.
        connections: how many requests are on their way at a time.
        seconds: after which no more are sent; those on their way are waited for.

    Raises:
        CallError: an answer other than 200 or 503, or none.
    """
    return uvloop.run(_call(url, requests, connections, seconds))


async def _call(url: str, requests: Sequence[bytes], connections: int, seconds: float) -> Timed:
    loop = asyncio.get_running_loop()
    host, _, port = urlsplit(url).netloc.rpartition(":")
    started = time.perf_counter()
    asked = itertools.cycle(requests)
    callers: list[_Caller] = []
    try:
        for _ in range(connections):
            _, caller = await loop.create_connection(
                lambda: _Caller(asked, started + seconds), host, int(port)
            )
            callers.append(caller)
        await asyncio.wait_for(asyncio.gather(*(one.done for one in callers)), seconds + _ANSWER_SECONDS)
    except OSError as error:
        raise CallError(f"the service can't be reached: {error.strerror or error}") from error
    except TimeoutError as error:
        raise CallError(f"the service gave no answer in {_ANSWER_SECONDS:.0f} s") from error
    finally:
        for one in callers:
            one.close()
    times = sorted(itertools.chain.from_iterable(one.times for one in callers))
    return Timed(times, time.perf_counter() - started, sum(one.refused for one in callers))


class _Caller(asyncio.Protocol):
    """One connection; httptools calls the methods that begin with `on_`."""

    def __init__(self, requests: Iterator[bytes], deadline: float) -> None:
        self.times: list[float] = []
        self.refused = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._deadline = deadline
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(f"the service answers with what is no HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio gives it
        self._fail("the service closed a connection while it was asked")

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        took = time.perf_counter() - self._began
        status = self._parser.get_status_code()
        if status == 200:
            self.times.append(1000 * took)
        elif status == 503:
            self.refused += 1
        else:
            self._fail(f"the service answers {status}: {self._body.decode(errors='replace')}")
        if self._transport and not self.done.done():
            if time.perf_counter() < self._deadline:
                self._send(self._transport)
            else:
                self.done.set_result(None)

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def _send(self, transport: asyncio.Transport) -> None:
        self._parser = HttpResponseParser(self)
        self._body = b""
        self._began = time.perf_counter()
        transport.write(next(self._requests))

    def _fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(CallError(reason))
