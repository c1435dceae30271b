"""Work in, results out of a few threads; what could not start in time is refused at once."""

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from service.errors import Overloaded
from service.trace import Trace

Result = TypeVar("Result")

_SMOOTHING = 0.05  # weight of the newest piece of work in the mean of their times
_RETRY_SECONDS = (1, 3)  # drawn from, so that those refused together don't come back together


class Lane:
    """Threads with a queue that is bounded by time: a request would rather be refused than late.

    An answer that comes too late costs as much as one in time, so that a service which accepts everything
    answers nobody in time once it gets more than it can do.
    """

    def __init__(self, name: str, threads: int, longest_wait: float, niceness: int = 0) -> None:
        """Take the number of threads, and the longest wait in seconds until one is free."""
        self._threads = threads
        self._longest_wait = longest_wait
        self._pool = ThreadPoolExecutor(threads, name, _be_nice, (niceness,))
        self._unfinished = 0
        self._mean_seconds = 0.0

    def check(self) -> None:
        """See whether work that comes now would start in time.

        Raises:
            Overloaded: it would not.
        """
        waiting = self._unfinished - self._threads
        if waiting >= 0 and (waiting + 1) * self._mean_seconds > self._longest_wait * self._threads:
            raise self._refusal()

    async def run(self, work: Callable[[], Result], trace: Trace, *, admitted: bool = False) -> Result:
        """Do `work` in a thread; its wait is the trace's stage "queue".

        Args:
            work: what to do.
            trace: of the request.
            admitted: the request has got its first turn, and so gets its others, however late.

        Raises:
            Overloaded: the work would not start in time, or did not.
        """
        if not admitted:
            self.check()
        asked = time.perf_counter()

        def timed() -> Result:
            started = time.perf_counter()
            trace.add("queue", started - asked)
            if not admitted and started - asked > self._longest_wait:
                raise self._refusal()
            try:
                return work()
            finally:
                self._mean_seconds += _SMOOTHING * (time.perf_counter() - started - self._mean_seconds)

        self._unfinished += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, timed)
        finally:
            self._unfinished -= 1

    def _refusal(self) -> Overloaded:
        return Overloaded(
            f"more is waiting than can be started within {1000 * self._longest_wait:.0f} ms "
            "(GLIMPSE_MAX_WAIT_MS): try again after the seconds in Retry-After",
            random.randint(*_RETRY_SECONDS),  # noqa: S311 - spreads load, keeps no secret
        )


def _be_nice(niceness: int) -> None:
    """On Linux niceness is a thread's own."""
    if niceness:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
