"""One request's identity and what is known of it by now: for its log line, its metrics and its headers."""

import random
import re
import time

_SAFE_ID = re.compile(rb"[\w.:-]{1,128}")
# https://www.w3.org/TR/trace-context/: version, trace id, parent id, flags
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def draw_id() -> str:
    """A request id like those of traceparent."""
    return f"{random.getrandbits(128):032x}"


class Trace:
    """A request's ids, its model, and how long its stages took, in seconds."""

    def __init__(self, traceparent: bytes = b"", request_id: bytes = b"") -> None:
        """Take the values of the caller's headers where they are sound, else draw an id."""
        parent = _TRACEPARENT.fullmatch(traceparent)
        self.trace_id = parent[1].decode("ascii") if parent else None
        given = request_id.decode("ascii") if _SAFE_ID.fullmatch(request_id) else None
        self.request_id = given or self.trace_id or draw_id()
        self.stages: dict[str, float] = {}
        self.model = ("", "")  # name and version, once known

    def stage(self, name: str) -> "_Stage":
        """A context; the time spent in it is added to the stage."""
        return _Stage(self, name)

    def add(self, name: str, seconds: float) -> None:
        """Add to the stage."""
        self.stages[name] = self.stages.get(name, 0.0) + seconds

    def server_timing(self, total: float) -> str:
        """The stages, and `total` seconds, as a Server-Timing header in milliseconds."""
        durations = {**self.stages, "total": total}
        return ", ".join(f"{name};dur={1000 * seconds:.3f}" for name, seconds in durations.items())


class _Stage:
    def __init__(self, trace: Trace, name: str) -> None:
        self._trace = trace
        self._name = name

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._trace.add(self._name, time.perf_counter() - self._started)
