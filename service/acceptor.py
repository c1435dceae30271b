"""New connections in, each to the worker that has the fewest: who hears of one first is chance.

On one socket a worker that wakes takes all that wait, and clients that keep their connections, as proxies do,
stay where they came: with two of them, one worker did all and the other nothing.
"""

import asyncio
import logging
import math
import mmap
import os
import socket
import struct
from collections.abc import Callable
from typing import Self

from service.shortage import is_shortage

logger = logging.getLogger(__name__)

_COUNT_BYTES = struct.calcsize("I")
_OWN = -1  # the descriptor of memory that a process has for itself
_NOT_THERE = 2**32 - 1  # a worker's count while it does not accept
# How often and long a worker waits for one with fewer, which may be within a turn, before it takes more.
_WAITS, _WAIT_SECONDS = 6, 0.001
_MOST_AHEAD = 16  # that it takes then
_MOST_AT_ONCE = 64  # so that others are answered meanwhile, however many come
_SHORTAGE_SECONDS = 0.1
_SHORTAGE_SILENCE = 10.0  # seconds from one line of log on a shortage to the next


class Counts:
    """How many connections each worker has, in memory that all workers and their supervisor share."""

    def __init__(self, workers: int, descriptor: int) -> None:
        """Take how many workers there are, and the descriptor of what `make` made for all of them."""
        self.descriptor = descriptor
        self._counts = memoryview(mmap.mmap(descriptor, _COUNT_BYTES * workers)).cast("I")
        if descriptor == _OWN:
            self._set_all_out()

    @classmethod
    def make(cls, workers: int) -> Self:
        """Those of so many workers, none of which accepts yet.

        Where the system has or allows no memory that processes share, the descriptor stands for memory of
        one's own: whoever counts in that sees no others, and takes whatever comes.
        """
        try:
            descriptor = _share_memory(_COUNT_BYTES * workers)
        except OSError as error:
            reason = error.strerror
            logger.warning("no memory can be shared (%s): connections go to whoever is first", reason)
            descriptor = _OWN
        counts = cls(workers, descriptor)
        counts._set_all_out()
        return counts

    def set_out(self, worker: int) -> None:
        """The worker accepts nothing."""
        self._counts[worker] = _NOT_THERE

    def _set_all_out(self) -> None:
        for worker in range(len(self._counts)):
            self.set_out(worker)

    def set_in(self, worker: int) -> None:
        """The worker accepts from now on."""
        self._counts[worker] = 0

    def add(self, worker: int, change: int) -> None:
        """A worker has one more or less."""
        self._counts[worker] += change

    def is_ahead(self, worker: int) -> bool:
        """Whether another that accepts has fewer, by more than an eighth."""
        own = self._counts[worker]
        return own - own // 8 > min(self._counts)


def _share_memory(size: int) -> int:
    descriptor = os.memfd_create("connections")
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


class Acceptor:
    """Takes a worker's share of the connections that come to a listening socket."""

    def __init__(self, listening: socket.socket, counts: Counts, worker: int) -> None:
        self._listening = listening
        self._counts = counts
        self._worker = worker
        self._tasks: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._waits = 0
        self._silent_until = -math.inf
        self._is_open = True  # after which its connections count no more

    def start(self, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        """Listen, and accept from now on; each connection's protocol tells `note_lost` when it is over."""
        self._make_protocol = make_protocol
        self._loop = asyncio.get_running_loop()
        self._listening.settimeout(0)
        self._listening.listen(2048)
        self._counts.set_in(self._worker)
        self._loop.add_reader(self._listening, self._accept)

    def close(self) -> None:
        """Accept nothing any more: who comes when all workers have closed is refused."""
        self._is_open = False
        self._counts.set_out(self._worker)
        self._loop.remove_reader(self._listening)
        self._listening.close()
        if self._later is not None:
            self._later.cancel()

    def note_lost(self) -> None:
        """Count a connection that is over."""
        if self._is_open:
            self._counts.add(self._worker, -1)

    def _accept(self) -> None:
        """Take what waits until others have fewer; leave it to them for a while before taking more."""
        ahead = 0
        for _ in range(_MOST_AT_ONCE):
            if not self._counts.is_ahead(self._worker):
                self._waits = 0
            elif self._waits < _WAITS:
                self._waits += 1
                self._pause(_WAIT_SECONDS)
                return
            elif ahead == _MOST_AHEAD:
                return
            else:
                ahead += 1
            if not self._take_one():
                return

    def _take_one(self) -> bool:
        """Whether one was there and could be had."""
        try:
            connection = self._listening.accept()[0]
        except OSError as error:  # mostly because there is none left
            self._waits = 0
            if is_shortage(error):
                self._put_off(error)
            return False
        self._counts.add(self._worker, 1)
        task = self._loop.create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _serve(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except Exception:
            self.note_lost()
            connection.close()
            raise

    def _put_off(self, shortage: OSError) -> None:
        """Try again when some connections may be over."""
        now = self._loop.time()
        if now >= self._silent_until:
            self._silent_until = now + _SHORTAGE_SILENCE
            logger.warning("connections have to wait: %s", shortage.strerror)
        self._pause(_SHORTAGE_SECONDS)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening)
        self._later = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._later = None
        self._loop.add_reader(self._listening, self._accept)
        self._accept()
