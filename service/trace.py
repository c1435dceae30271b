"""One request's identity and what is known of it by now: for its log line, its metrics and its headers."""

import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers

_SAFE_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
# https://www.w3.org/TR/trace-context/: version, trace id, parent id, flags
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def draw_id() -> str:
    """A request id like those of traceparent."""
    return f"{random.getrandbits(128):032x}"


class Trace:
    """A request's ids, its model, and how long its stages took, in seconds."""

    def __init__(self, headers: Headers) -> None:
        """Take the caller's ids where they are sound, else make one."""
        parent = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
        self.trace_id = parent[1] if parent else None
        given = headers.get("x-request-id", "")
        self.request_id = given if _SAFE_ID.fullmatch(given) else self.trace_id or draw_id()
        self.stages: dict[str, float] = {}
        self.model = ("", "")  # name and version, once known

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

    def server_timing(self, total: float) -> str:
        """The stages, and `total` seconds, as a Server-Timing header in milliseconds."""
        durations = {**self.stages, "total": total}
        return ", ".join(f"{name};dur={1000 * seconds:.3f}" for name, seconds in durations.items())
