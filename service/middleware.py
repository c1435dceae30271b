"""Wraps every request: its id, its time, and the answer when something of ours breaks."""

import asyncio
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.doors import error_response
from service.explanation import explain
from service.observer import CLIENT_CLOSED, Observer
from service.trace import Trace

_UNMATCHED = "(none)"  # one label for all paths that don't exist, or anybody could make labels without end


class ObserveRequests:
    """ASGI middleware; puts a Trace into the request's state."""

    def __init__(self, app: ASGIApp, observer: Observer) -> None:
        self.app = app
        self.observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"])
        trace = Trace(given.get(b"traceparent", b""), given.get(b"x-request-id", b""))
        scope.setdefault("state", {})["trace"] = trace
        answer = _Answer(send, self.observer, trace)
        self.observer.metrics.in_flight.inc()
        try:
            await self._run(scope, receive, answer)
        except ClientDisconnect:  # nobody is left to answer, and it is no failure of ours
            answer.status = CLIENT_CLOSED
        finally:
            self.observer.metrics.in_flight.dec()
            route = getattr(scope.get("route"), "path", _UNMATCHED)
            self.observer.record(scope["method"], route, answer.status, answer.seconds(), trace)

    async def _run(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        """Have the application answer; where it can't, say why, unless its answer has begun."""
        try:
            await self.app(scope, receive, answer.send)
        except ClientDisconnect:
            raise
        except (Exception, asyncio.CancelledError) as error:
            failure = explain(error, answer.trace)
            if not answer.status:
                await error_response(failure, answer.trace.request_id)(scope, receive, answer.send)
            elif isinstance(error, Exception):
                raise


class _Answer:
    """What goes out for one request."""

    def __init__(self, send: Send, observer: Observer, trace: Trace) -> None:
        self._send = send
        self._observer = observer
        self._started = time.perf_counter()
        self.trace = trace
        self.status = 0  # until it has begun

    def seconds(self) -> float:
        """How long the request has taken by now."""
        return time.perf_counter() - self._started

    async def send(self, message: Message) -> None:
        """Pass on a part of it, with the headers that all answers have."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._observer.add_headers(message["headers"], self.trace, self.status, self.seconds())
        await self._send(message)
