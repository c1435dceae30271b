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
        started = time.perf_counter()
        given = dict(scope["headers"])
        trace = Trace(given.get(b"traceparent", b""), given.get(b"x-request-id", b""))
        scope.setdefault("state", {})["trace"] = trace
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                seconds = time.perf_counter() - started
                self.observer.add_headers(message["headers"], trace, status, seconds)
            await send(message)

        self.observer.metrics.in_flight.inc()
        try:
            await self.app(scope, receive, send_with_headers)
        except asyncio.CancelledError:  # the time to finish after SIGTERM is over
            logger.warning("cut off: the service stops", extra={FIELDS: {"request_id": trace.request_id}})
            if not status:
                await error_response(_STOPPED, trace.request_id)(scope, receive, send_with_headers)
        except ClientDisconnect:  # nobody is left to answer, and it is no failure of ours
            status = status or _CLIENT_CLOSED
        except Exception as error:
            failure = _explain(error, trace)
            if status:
                raise
            await error_response(failure, trace.request_id)(scope, receive, send_with_headers)
        finally:
            self.observer.metrics.in_flight.dec()
            route = getattr(scope.get("route"), "path", _UNMATCHED)
            self.observer.record(scope["method"], route, status, time.perf_counter() - started, trace)


def _explain(error: Exception, trace: Trace) -> ServiceError:
    """What the caller is told of what broke; the log is told more, but where it is only a shortage."""
    fields = {FIELDS: {"request_id": trace.request_id}}
    if is_shortage(error):
        logger.warning("put off: %s", str(error) or type(error).__name__, extra=fields)
        return SHORT
    logger.error("a request failed", exc_info=error, extra=fields)
    return InternalError()
