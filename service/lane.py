"""Work in, results out, one piece after the other; what could not start in time is refused at once.

An answer that comes too late costs as much as one in time, so that a service which accepts everything
answers nobody in time once it gets more than it can do.
"""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, NamedTuple, TypeVar

from service.errors import Overloaded
from service.trace import Trace

Result = TypeVar("Result")
Item = TypeVar("Item")
Work = Callable[[Iterator[Any]], list[Any]]  # a result or an error of each item that it takes

_SMOOTHING = 0.05  # weight of the newest piece of work in the mean of their times
_RETRY_SECONDS = (1, 3)  # drawn from, so that those refused together don't come back together


class Lane(ABC):
    """A queue that is bounded by the time which a piece of work would wait in it."""

    def __init__(self, longest_wait: float) -> None:
        """Take the longest wait in seconds until a piece of work starts."""
        self._longest_wait = longest_wait
        self._unfinished = 0
        self._mean_seconds = 0.0

    def check(self, on_the_way: int = 0) -> None:
        """See whether work that comes now, after as many pieces `on_the_way`, would start in time.

        Raises:
            Overloaded: it would not.
        """
        if (self._unfinished + on_the_way) * self._mean_seconds > self._longest_wait:
            raise self._refusal()

    @property
    def is_busy(self) -> bool:
        """Whether work that comes now would wait."""
        return self._unfinished > 0

    async def run(self, work: Callable[[], Result], trace: Trace, *, admitted: bool = False) -> Result:
        """Do `work`; its wait is the trace's stage "queue".

        Args:
            work: what to do.
            trace: of the request.
            admitted: the request has got its first turn, and so gets its others, however late.

        Raises:
            Overloaded: the work would not start in time, or did not.
        """
        begin = self._admit(trace, admitted=admitted)

        def timely() -> Result:
            begin()
            return work()

        self._unfinished += 1
        try:
            return await self._do(timely)
        finally:
            self._unfinished -= 1

    def _admit(self, trace: Trace, *, admitted: bool) -> Callable[[], None]:
        """What to call when the work's turn has come; either raises Overloaded where that is too late."""
        if not admitted:
            self.check()
        asked = time.perf_counter()

        def begin() -> None:
            waited = time.perf_counter() - asked
            trace.add("queue", waited)
            if not admitted and waited > self._longest_wait:
                raise self._refusal()

        return begin

    @abstractmethod
    async def _do(self, work: Callable[[], Result]) -> Result:
        """Do `work` after all that came before it."""

    def _note(self, seconds: float) -> None:
        """Learn how long a piece of work keeps the next one waiting."""
        self._mean_seconds += _SMOOTHING * (seconds - self._mean_seconds)

    def _refusal(self) -> Overloaded:
        return Overloaded(
            f"more is waiting than can be started within {1000 * self._longest_wait:.0f} ms "
            "(GLIMPSE_MAX_WAIT_MS): try again after the seconds in Retry-After",
            random.randint(*_RETRY_SECONDS),  # noqa: S311 - spreads load, keeps no secret
        )


class _Piece(NamedTuple):
    """What waits for its turn: something to do the work on, and who waits for it."""

    work: Work
    item: Any
    begin: Callable[[], None]
    done: asyncio.Future[Any]


class LoopLane(Lane):
    """Works in the event loop's own thread, a piece a turn of the loop, or some that are shared.

    Between two turns the loop reads what has come, and refuses what is too much, all in one go. With a
    thread for the work instead, each request that comes takes the CPU and the interpreter from that thread;
    on one CPU that cost half the requests per second.
    """

    def __init__(self, longest_wait: float, note_waiting: Callable[[int], None] = lambda _: None) -> None:
        """Take the longest wait in seconds, and whom to tell how many wait: of the first one, and of none."""
        super().__init__(longest_wait)
        self._note_waiting = note_waiting
        self._waiting: deque[_Piece] = deque()
        self._started: float | None = None  # when the last turn did, if this one waited for it
        self._taken = 1  # pieces of the last turn

    async def share(
        self, work: Callable[[Iterator[Item]], list[Result | Exception]], item: Item, trace: Trace
    ) -> Result:
        """Do `work` on `item`, and in the same turn on those behind it that wait for the very same work.

        Nothing is waited for: who is alone has a turn alone.

        Args:
            work: takes as many items as it wants to do in one turn, in which nothing is read or refused, and
                gives a list with the result or the error of each, which it keeps nowhere else.
            item: what to do it on.
            trace: of the request.

        Raises:
            Overloaded: the work would not start in time, or did not.
        """
        begin = self._admit(trace, admitted=False)
        self._unfinished += 1
        try:
            result: Result = await self._wait(work, item, begin)
        finally:
            self._unfinished -= 1
        return result

    async def _do(self, work: Callable[[], Result]) -> Result:
        result: Result = await self._wait(lambda items: [work() for _ in items], None, lambda: None)
        return result

    async def _wait(self, work: Work, item: object, begin: Callable[[], None]) -> Any:  # noqa: ANN401 - the callers know
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        self._waiting.append(_Piece(work, item, begin, done))
        if len(self._waiting) == 1:
            self._note_waiting(len(self._waiting))
            loop.call_soon(self._turn, loop)
        try:
            return await done
        finally:
            # It may hold an error, whose trace holds this frame, and with it the picture: a circle that
            # stays in memory until the next search for garbage.
            del done

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        started = time.perf_counter()
        if self._started is not None:  # a whole turn: work, answers, and what was read and refused meanwhile
            self._note((started - self._started) / self._taken)
        pieces: list[_Piece] = []
        outcomes = self._attempt(self._waiting[0].work, pieces)
        for piece, outcome in zip(pieces, outcomes, strict=True):
            _settle(piece.done, outcome)
            # An error's trace holds this frame too, and that of the work.
            del piece, outcome
        self._taken = max(1, len(pieces))
        outcomes.clear()
        pieces.clear()
        if self._waiting:
            self._started = started
            loop.call_soon(self._turn, loop)
        else:
            self._started = None
            self._note((time.perf_counter() - started) / self._taken)
            self._note_waiting(len(self._waiting))

    def _attempt(self, work: Work, pieces: list[_Piece]) -> list[Any]:
        """What became of each of the `pieces` that `work` took."""
        try:
            with closing(self._take(work, pieces)) as items:
                return work(items)
        except Exception as error:  # noqa: BLE001 - it is the callers'
            return [error] * len(pieces)

    def _take(self, work: Work, pieces: list[_Piece]) -> Generator[Any, None, None]:
        """Items of those in front that wait for `work`; who has given up or is late has no part in it."""
        while self._waiting and self._waiting[0].work is work:
            piece = self._waiting.popleft()
            if piece.done.cancelled():
                continue
            try:
                piece.begin()
            except Overloaded as error:
                piece.done.set_exception(error.with_traceback(None))  # which would hold the piece
            else:
                pieces.append(piece)
                yield piece.item


def _settle(done: asyncio.Future[Any], outcome: object) -> None:
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)


class ThreadLane(Lane):
    """Works in a thread of its own, for what waits for others more than it computes."""

    def __init__(self, name: str, longest_wait: float) -> None:
        super().__init__(longest_wait)
        self._pool = ThreadPoolExecutor(1, name)

    def start(self) -> None:
        """Have the thread before there is work for it; later there might be no memory for one.

        A thread that gets none while it starts leaves who started it waiting for ever.
        """
        self._pool.submit(int).result()

    async def _do(self, work: Callable[[], Result]) -> Result:
        def timed() -> Result:
            started = time.perf_counter()
            try:
                return work()
            finally:
                self._note(time.perf_counter() - started)

        return await asyncio.get_running_loop().run_in_executor(self._pool, timed)
