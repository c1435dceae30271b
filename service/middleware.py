"""Wraps every request: its id, its time, and the answer when something of ours breaks."""

import asyncio
import logging
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.doors import error_response
from service.errors import InternalError, Overloaded, ServiceError
from service.logs import FIELDS
from service.observer import Observer
from service.shortage import SHORT, is_shortage
from service.trace import Trace

logger = logging.getLogger(__name__)

_CLIENT_CLOSED = 499  # as nginx counts them
_UNMATCHED = "(none)"  # one label for all paths that don't exist, or anybody could make labels without end
_STOPPED = Overloaded("the service stops before this is done (GLIMPSE_GRACE_SECONDS): ask another one")


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
            answer.status = _CLIENT_CLOSED
        finally:
            self.observer.metrics.in_flight.dec()
            route = getattr(scope.get("route"), "path", _UNMATCHED)
            self.observer.record(scope["method"], route, answer.status, answer.seconds(), trace)

    async def _run(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        """Have the application answer; where it can't, say why, unless its answer has begun."""
        request_id = answer.trace.request_id
        try:
            await self.app(scope, receive, answer.send)
        except asyncio.CancelledError:  # the time to finish after SIGTERM is over
            logger.warning("cut off: the service stops", extra={FIELDS: {"request_id": request_id}})
            if not answer.status:
                await error_response(_STOPPED, request_id)(scope, receive, answer.send)
        except ClientDisconnect:
            raise
        except Exception as error:
            failure = _explain(error, answer.trace)
            if answer.status:
                raise
            await error_response(failure, request_id)(scope, receive, answer.send)


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


def _explain(error: Exception, trace: Trace) -> ServiceError:
    """What the caller is told of what broke; the log is told more, but where it is only a shortage."""
    fields = {FIELDS: {"request_id": trace.request_id}}
    if is_shortage(error):
        logger.warning("put off: %s", str(error) or type(error).__name__, extra=fields)
        return SHORT
    logger.error("a request failed", exc_info=error, extra=fields)
    return InternalError()
