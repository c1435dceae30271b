"""Wraps every request: an id, timings, metrics, and the answer when something of ours breaks."""

import logging
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ServiceError
from service.metrics import Metrics
from service.schemas import ErrorAnswer

logger = logging.getLogger(__name__)

_SAFE_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_CLIENT_CLOSED = 499  # as nginx counts them
_UNMATCHED = "(none)"  # one label for all paths that don't exist, or anybody could make labels without end


class Trace:
    """A request's id and how long its stages took, in seconds."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to the stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - started)

    def add(self, name: str, seconds: float) -> None:
        """Add to the stage."""
        self.stages[name] = self.stages.get(name, 0.0) + seconds

    def server_timing(self) -> str:
        """The stages as a Server-Timing header, in milliseconds."""
        return ", ".join(f"{name};dur={1000 * seconds:.3f}" for name, seconds in self.stages.items())


class ObserveRequests:
    """ASGI middleware; puts a Trace into the request's state."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        trace = Trace(_request_id(scope))
        scope.setdefault("state", {})["trace"] = trace
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = trace.request_id
                if trace.stages:
                    headers["Server-Timing"] = trace.server_timing()
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except ClientDisconnect:  # nobody is left to answer, and it is no failure of ours
            status = status or _CLIENT_CLOSED
        except Exception:
            logger.exception("request %s failed", trace.request_id)
            if status:
                raise
            error = ServiceError(
                "something broke inside the service; its log has the details under this request id"
            )
            answer = JSONResponse(ErrorAnswer.of(error, trace.request_id).model_dump(), error.status)
            await answer(scope, receive, send_with_headers)
        finally:
            self._record(scope, status, time.perf_counter() - started, trace)

    def _record(self, scope: Scope, status: int, seconds: float, trace: Trace) -> None:
        route = getattr(scope.get("route"), "path", _UNMATCHED)
        self.metrics.requests.labels(route, str(status)).inc()
        self.metrics.request_seconds.labels(route).observe(seconds)
        for stage, stage_seconds in trace.stages.items():
            self.metrics.stage_seconds.labels(stage).observe(stage_seconds)


def _request_id(scope: Scope) -> str:
    """The caller's X-Request-ID where it is short and plain, else a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
