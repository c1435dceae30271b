"""Pictures for which there is no room: refused before anything is made of their requests.

At three times what a service can do it refuses twice as many requests as it answers, and whatever refusing
takes is lost to the others. The application's layers, a task and uvicorn's checks of what it sends took four
times as long.
"""

import asyncio
import time
from functools import lru_cache

from service.errors import Overloaded
from service.lane import Lane
from service.observer import Observer
from service.picture_head import PictureHead
from service.schemas import ErrorAnswer
from service.trace import Trace

_ID = "00000000000000000000000000000000"  # stands for the request's in a sentence that is made once


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

    def refusal(self, head: PictureHead) -> bytes | None:
        """What to answer to this request after the status line; None where there is room for it by now."""
        started = time.perf_counter()
        try:
            self._lane.check(self._passed)
        except Overloaded as error:
            trace = Trace(head.headers.get(b"traceparent", b""), head.headers.get(b"x-request-id", b""))
            return self._answer(error, head.path, trace, started)
        self._note_passed()
        return None

    def _answer(self, error: Overloaded, path: str, trace: Trace, started: float) -> bytes:
        request_id = trace.request_id.encode("ascii")
        before, after = _sentence(error.message)
        seconds = time.perf_counter() - started
        self._observer.record("POST", path, error.status, seconds, trace)
        lines = self._observer.lines(len(before) + len(request_id) + len(after), trace, seconds)
        return b"retry-after: %d\r\n%b\r\n%b%b%b" % (error.retry_after, lines, before, request_id, after)

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
