"""Wraps every request: an id, timings, metrics, a log line, and the answer when something of ours breaks."""

import asyncio
import logging
import time
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.doors import error_response
from service.errors import InternalError, Overloaded
from service.lifecycle import Lifecycle
from service.logs import FIELDS
from service.metrics import Metrics
from service.refusals import Refusals
from service.trace import Trace

logger = logging.getLogger(__name__)
requests_logger = logging.getLogger("service.requests")

_CLIENT_CLOSED = 499  # as nginx counts them
_UNMATCHED = "(none)"  # one label for all paths that don't exist, or anybody could make labels without end
# Answers are data of their own type, for nobody's frame, and to be kept by no cache on the way.
_SAFE_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}
_STOPPED = Overloaded("the service stops before this is done (GLIMPSE_GRACE_SECONDS): ask another one")
# After these the rest of a body may still be on its way, and nobody is going to read it.
_BODY_LEFT = {401, 408, 413}


class ObserveRequests:
    """ASGI middleware; puts a Trace into the request's state."""

    def __init__(self, app: ASGIApp, metrics: Metrics, lifecycle: Lifecycle) -> None:
        self.app = app
        self.metrics = metrics
        self.lifecycle = lifecycle
        self.refusals = Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        trace = Trace(Headers(scope=scope))
        scope.setdefault("state", {})["trace"] = trace
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                seconds = time.perf_counter() - started
                self._add_headers(message["headers"], trace, status, seconds)
            await send(message)

        self.metrics.in_flight.inc()
        try:
            await self.app(scope, receive, send_with_headers)
        except asyncio.CancelledError:  # the time to finish after SIGTERM is over
            logger.warning("cut off: the service stops", extra={FIELDS: {"request_id": trace.request_id}})
            if not status:
                await error_response(_STOPPED, trace.request_id)(scope, receive, send_with_headers)
        except ClientDisconnect:  # nobody is left to answer, and it is no failure of ours
            status = status or _CLIENT_CLOSED
        except Exception:
            logger.exception("a request failed", extra={FIELDS: {"request_id": trace.request_id}})
            if status:
                raise
            await error_response(InternalError(), trace.request_id)(scope, receive, send_with_headers)
        finally:
            self.metrics.in_flight.dec()
            self._record(scope, status, time.perf_counter() - started, trace)

    def _add_headers(
        self, headers: list[tuple[bytes, bytes]], trace: Trace, status: int, seconds: float
    ) -> None:
        # On the raw list: a refusal's headers would take a tenth of its time as MutableHeaders.
        given = {name for name, _ in headers}
        headers.extend(pair for pair in _SAFE_HEADERS.items() if pair[0] not in given)
        headers.append((b"x-request-id", trace.request_id.encode("ascii")))
        headers.append((b"server-timing", trace.server_timing(seconds).encode("ascii")))
        if self.lifecycle.is_stopping or status in _BODY_LEFT:
            headers.append((b"connection", b"close"))

    def _record(self, scope: Scope, status: int, seconds: float, trace: Trace) -> None:
        route = getattr(scope.get("route"), "path", _UNMATCHED)
        model, version = trace.model
        self.metrics.requests.labels(route, str(status), model, version).inc()
        self.metrics.request_seconds.labels(route).observe(seconds)
        for stage, stage_seconds in trace.stages.items():
            self.metrics.stage_seconds.labels(stage).observe(stage_seconds)
        level = logging.INFO
        if status == HTTPStatus.SERVICE_UNAVAILABLE and scope["method"] == "POST":
            self.refusals.note()
            level = logging.DEBUG
        if requests_logger.isEnabledFor(level):
            fields: dict[str, object] = {
                "request_id": trace.request_id,
                "status": status,
                "ms": round(1000 * seconds, 3),
            }
            if trace.trace_id:
                fields["trace_id"] = trace.trace_id
            if model:
                fields["model"] = f"{model}/{version}"
            fields |= {f"{stage}_ms": round(1000 * value, 3) for stage, value in trace.stages.items()}
            requests_logger.log(level, "%s %s", scope["method"], route, extra={FIELDS: fields})
