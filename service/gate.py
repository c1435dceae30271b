"""Pictures for which there is no room: refused before anything is made of their requests.

At three times what a service can do it refuses twice as many requests as it answers, and whatever refusing
takes is lost to the others. The application's layers, a task and uvicorn's checks of what it sends took more
than twice as long.
"""

import time
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.responses import Response

from service.doors import error_response
from service.errors import Overloaded
from service.lane import Lane
from service.observer import Observer
from service.trace import Trace

_PATHS = frozenset({b"/classify", b"/classify/image", b"/classify/details", b"/classify/batch"})


class Gate:
    """Knows whether work that comes now would start in time."""

    def __init__(self, lane: Lane, observer: Observer) -> None:
        self._lane = lane
        self._observer = observer

    def refusal(self, method: bytes, url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Response | None:
        """What to answer to this head of a request; None where the application is to answer.

        The application refuses too, once it has read the body; and a browser's request from another site
        needs the headers that only the application adds.
        """
        path = url.partition(b"?")[0]
        if method != b"POST" or path not in _PATHS or any(name == b"origin" for name, _ in headers):
            return None
        started = time.perf_counter()
        try:
            self._lane.check()
        except Overloaded as error:
            return self._answer(error, path.decode("ascii"), headers, started)
        return None

    def _answer(
        self, error: Overloaded, path: str, headers: Sequence[tuple[bytes, bytes]], started: float
    ) -> Response:
        trace = Trace(Headers(raw=list(headers)))
        response = error_response(error, trace.request_id)
        seconds = time.perf_counter() - started
        self._observer.add_headers(response.raw_headers, trace, error.status, seconds)
        self._observer.record("POST", path, error.status, seconds, trace)
        return response
