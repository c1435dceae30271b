"""Small pictures in, answers out, past ASGI, whose messages and layers take a fifth of all but the model."""

import asyncio
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect

from service.call import Call
from service.doors import Keys, error_body, error_headers
from service.explanation import explain
from service.observer import CLIENT_CLOSED
from service.parts import Parts
from service.picture_head import PictureHead
from service.routes.classify import Function
from service.trace import Trace

MOST_BYTES = 65_536  # of a body; uvicorn holds as much before anybody asks for it
# Heads that ask for something before the body comes, or don't say how long it is.
_NOT_PLAIN = (b"expect", b"transfer-encoding", b"upgrade")


class Exchange(Protocol):
    """Whoever has a request's body, and sends its answer."""

    begun: float  # when its head was here, and when all of it was, by time.perf_counter
    complete: float

    def take_body(self) -> bytes:
        """All of it, which is kept here no longer."""

    async def is_gone(self) -> bool:
        """Whether nobody waits for the answer any more."""

    async def send(self, status: int, lines: bytes, body: bytes) -> bool:
        """Send a status, lines of a head and a body; whether there was somebody to get them."""


class FastPath:
    """Answers calls with small bodies, by the application's own functions and in its words."""

    def __init__(self, parts: Parts, functions: Mapping[str, Function]) -> None:
        """Take the functions by the paths of their routes."""
        self._parts = parts
        self._functions = functions
        self._keys = Keys(parts.settings.keys) if parts.settings.keys else None
        self._most_bytes = min(MOST_BYTES, parts.settings.max_body_bytes)

    def takes(self, head: PictureHead, headers: list[tuple[bytes, bytes]]) -> bool:
        """Whether `answer` is for this head, whose `headers` are as they came; else the application is."""
        length = head.headers.get(b"content-length", b"")
        return (
            head.path in self._functions
            and length.isdigit()
            and int(length) <= self._most_bytes
            and len(head.headers) == len(headers)  # none is given twice, of which ASGI takes the first
            and not any(name in head.headers for name in _NOT_PLAIN)
            and b"#" not in head.query
            and (self._keys is None or self._keys.know(Headers(raw=headers)))
        )

    async def answer(self, head: PictureHead, exchange: Exchange) -> None:
        """Answer a request whose body has come, count it and log it."""
        observer, given = self._parts.observer, head.headers
        trace = Trace(given.get(b"traceparent", b""), given.get(b"x-request-id", b""))
        trace.add("read", exchange.complete - exchange.begun)
        trace.add("queue", time.perf_counter() - exchange.complete)
        status = CLIENT_CLOSED
        observer.metrics.in_flight.inc()
        try:
            answered, extra, body = await self._respond(head, exchange, trace)
            lines = observer.lines(len(body), trace, time.perf_counter() - exchange.begun)
            if await exchange.send(answered, lines + extra, body):
                status = answered
        except ClientDisconnect:  # nobody is left to answer, and it is no failure of ours
            pass
        finally:
            observer.metrics.in_flight.dec()
            observer.record("POST", head.path, status, time.perf_counter() - exchange.begun, trace)

    async def _respond(self, head: PictureHead, exchange: Exchange, trace: Trace) -> tuple[int, bytes, bytes]:
        """A status, lines of a head and a body, also where something went wrong."""
        try:
            content_type = head.headers.get(b"content-type", b"").decode("latin-1")
            call = Call(trace, head.query, content_type, exchange.take_body(), exchange.is_gone)
            return HTTPStatus.OK, b"", await self._functions[head.path](self._parts, call)
        except ClientDisconnect:
            raise
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it is logged there
            failure = explain(error, trace)
            extra = b"".join(b"%b: %b\r\n" % line for line in error_headers(failure))
            return failure.status, extra, error_body(failure, trace.request_id)
