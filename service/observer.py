"""An answer's headers, counts and line of log, the same for every request whoever answers it."""

import logging
from http import HTTPStatus

from service.lifecycle import Lifecycle
from service.logs import FIELDS
from service.metrics import Metrics
from service.refusals import Refusals
from service.trace import Trace

logger = logging.getLogger("service.requests")

CLIENT_CLOSED = 499  # as nginx counts who has left before the answer
# Answers are data of their own type, for nobody's frame, and to be kept by no cache on the way.
SAFE_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}
_LINES = b"".join(
    [
        b"content-length: %d\r\ncontent-type: application/json\r\n",
        *(b"%b: %b\r\n" % pair for pair in SAFE_HEADERS.items()),
        b"x-request-id: %b\r\nserver-timing: %b\r\n",
    ]
)
# After these the rest of a body may still be on its way, and nobody is going to read it.
_BODY_LEFT = {401, 408, 413}


class Observer:
    """Knows of every answer."""

    def __init__(self, metrics: Metrics, lifecycle: Lifecycle) -> None:
        self.metrics = metrics
        self._lifecycle = lifecycle
        self._refusals = Refusals()

    @property
    def is_stopping(self) -> bool:
        """Whether connections are to end with their answers."""
        return self._lifecycle.is_stopping

    def add_headers(
        self, headers: list[tuple[bytes, bytes]], trace: Trace, status: int, seconds: float
    ) -> None:
        """Append to an answer's own headers, as ASGI has them, what all answers have."""
        # On the raw list: a refusal's headers would take a tenth of its time as MutableHeaders.
        given = {name for name, _ in headers}
        headers.extend(pair for pair in SAFE_HEADERS.items() if pair[0] not in given)
        headers.append((b"x-request-id", trace.request_id.encode("ascii")))
        headers.append((b"server-timing", trace.server_timing(seconds).encode("ascii")))
        if self.is_stopping or status in _BODY_LEFT:
            headers.append((b"connection", b"close"))

    def lines(self, length: int, trace: Trace, seconds: float) -> bytes:
        """The same as lines of a head, with those of a JSON body of so many bytes."""
        own = (trace.request_id.encode("ascii"), trace.server_timing(seconds).encode("ascii"))
        return _LINES % (length, *own)

    def record(self, method: str, route: str, status: int, seconds: float, trace: Trace) -> None:
        """Count an answer, and log it."""
        model, version = trace.model
        self.metrics.requests[route, str(status), model, version].inc()
        self.metrics.request_seconds[route,].observe(seconds)
        for stage, stage_seconds in trace.stages.items():
            self.metrics.stage_seconds[stage,].observe(stage_seconds)
        level = logging.INFO
        if status == HTTPStatus.SERVICE_UNAVAILABLE and method == "POST":
            self._refusals.note()
            level = logging.DEBUG
        if logger.isEnabledFor(level):
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
            logger.log(level, "%s %s", method, route, extra={FIELDS: fields})
