"""Pictures for which there is no room: refused before anything is made of their requests.

At three times what a service can do it refuses twice as many requests as it answers, and whatever refusing
takes is lost to the others. The application's layers, a task and uvicorn's checks of what it sends took four
times as long.
"""

import asyncio
import time
from collections.abc import Sequence
from functools import lru_cache

from service.errors import Overloaded
from service.lane import Lane
from service.observer import SAFE_HEADERS, Observer
from service.schemas import ErrorAnswer
from service.trace import Trace

_PATHS = frozenset({b"/classify", b"/classify/image", b"/classify/details", b"/classify/batch"})
_ID = "00000000000000000000000000000000"  # stands for the request's in a sentence that is made once
_HEAD = b"".join(
    [
        b"retry-after: %d\r\ncontent-length: %d\r\ncontent-type: application/json\r\n",
        *(b"%b: %b\r\n" % pair for pair in SAFE_HEADERS.items()),
        b"x-request-id: %b\r\nserver-timing: %b\r\n\r\n",
    ]
)


class Gate:
    """Knows whether work that comes now would start in time."""

    def __init__(self, lane: Lane, observer: Observer) -> None:
        self._lane = lane
        self._observer = observer
        self._passed = 0  # in this turn of the event loop, in which none of them gets as far as the lane

    @property
    def is_closing(self) -> bool:
        """Whether connections are to end with their answers."""
        return self._observer.is_stopping

    def refusal(self, method: bytes, url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
        """What to answer to this head of a request after the status line; None where the application answers.

        The application refuses too, once it has read the body; and a browser's request from another site
        needs the headers that only the application adds.
        """
        path = url.partition(b"?")[0]
        if method != b"POST" or path not in _PATHS:
            return None
        started = time.perf_counter()
        given = dict(headers)
        if b"origin" in given:
            return None
        try:
            self._lane.check(self._passed)
        except Overloaded as error:
            trace = Trace(given.get(b"traceparent", b""), given.get(b"x-request-id", b""))
            return self._answer(error, path.decode("ascii"), trace, started)
        self._note_passed()
        return None

    def _answer(self, error: Overloaded, path: str, trace: Trace, started: float) -> bytes:
        request_id = trace.request_id.encode("ascii")
        before, after = _sentence(error.message)
        seconds = time.perf_counter() - started
        self._observer.record("POST", path, error.status, seconds, trace)
        length = len(before) + len(request_id) + len(after)
        timing = trace.server_timing(seconds).encode("ascii")
        head = _HEAD % (error.retry_after, length, request_id, timing)
        return b"".join((head, before, request_id, after))

    def _note_passed(self) -> None:
        self._passed += 1
        if self._passed == 1:
            asyncio.get_running_loop().call_soon(self._forget_passed)

    def _forget_passed(self) -> None:
        self._passed = 0


@lru_cache(maxsize=16)
def _sentence(message: str) -> tuple[bytes, bytes]:
    """An answer's body before and after the request's id."""
    body = ErrorAnswer.of(Overloaded(message), _ID).model_dump_json().encode()
    before, _, after = body.rpartition(_ID.encode())
    return before, after
