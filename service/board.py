"""What each worker is doing, in memory that all workers and their supervisor share."""

import logging
import math
import mmap
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

logger = logging.getLogger(__name__)

_TIME: Final = "d"
_COUNT: Final = "I"
_BYTES = struct.calcsize(_TIME) + struct.calcsize(_COUNT)  # of each worker
_OWN = -1  # the descriptor of memory that a process has for itself
_NOT_THERE = 2**32 - 1  # a worker's count of connections while it does not accept
_MOST_DECODING = 2  # large pictures at a time, where a worker has some for both of its processes
_REST_SECONDS = 0.002  # without work, after which a worker may be thought to have nothing to do


class Board:
    """How many connections each worker has, and when it last had pictures to classify."""

    def __init__(self, workers: int, descriptor: int) -> None:
        """Take how many workers there are, and the descriptor of what `make` made for all of them."""
        self.descriptor = descriptor
        memory = memoryview(mmap.mmap(descriptor, _BYTES * workers))
        times = workers * struct.calcsize(_TIME)
        self._worked_until = memory[:times].cast(_TIME)  # by time.monotonic(); infinite while it works
        self._connections = memory[times:].cast(_COUNT)
        if not self.is_shared:
            self._clear_all()

    @classmethod
    def make(cls, workers: int) -> Self:
        """That of so many workers, none of which accepts yet.

        Where the system has or allows no memory that processes share, the descriptor stands for memory of
        one's own: whoever writes there sees no others, takes whatever comes, and leaves the other CPUs alone.
        """
        try:
            descriptor = _share_memory(_BYTES * workers)
        except OSError as error:
            reason = error.strerror
            logger.warning(
                "no memory can be shared (%s): connections go to whoever is first, and CPUs may idle", reason
            )
            descriptor = _OWN
        board = cls(workers, descriptor)
        board._clear_all()
        return board

    @property
    def is_shared(self) -> bool:
        """Whether the others are seen."""
        return self.descriptor != _OWN

    def set_out(self, worker: int) -> None:
        """The worker accepts nothing any more."""
        self._connections[worker] = _NOT_THERE

    def clear(self, worker: int) -> None:
        """There is no such worker."""
        self.set_out(worker)
        self._worked_until[worker] = -math.inf

    def _clear_all(self) -> None:
        for worker in range(len(self._connections)):
            self.clear(worker)

    def set_in(self, worker: int) -> None:
        """The worker accepts from now on."""
        self._connections[worker] = 0

    def add_connections(self, worker: int, change: int) -> None:
        """A worker has one more or less."""
        self._connections[worker] += change

    def is_ahead(self, worker: int) -> bool:
        """Whether another that accepts has fewer connections, by more than an eighth."""
        own = self._connections[worker]
        return own - own // 8 > min(self._connections)

    def note_work(self, worker: int, *, has_some: bool) -> None:
        """The worker has pictures to classify from now on, or has none any more."""
        self._worked_until[worker] = math.inf if has_some else time.monotonic()

    def count_busy(self, besides: int) -> int:
        """How many workers but that one have work, or had some a moment ago and so are about to get more."""
        lately = time.monotonic() - _REST_SECONDS
        return sum(until > lately for until in self._worked_until) - (self._worked_until[besides] > lately)


class Place:
    """One worker's place on the board."""

    def __init__(self, board: Board, worker: int, cpus: int) -> None:
        """Take its number, and how many CPUs all workers share."""
        self._board = board
        self._worker = worker
        self._cpus = cpus
        self._has_light = False
        self._heavy = 0

    @classmethod
    def alone(cls) -> Self:
        """That of a process which knows of no others, and uses the threads that it was given."""
        return cls(Board(1, _OWN), 0, 1)

    def note_light(self, waiting: int) -> None:
        """So many pictures wait for its own thread, or are about to be done by it."""
        self._has_light = waiting > 0
        self._note()

    @contextmanager
    def with_heavy(self) -> Iterator[None]:
        """It has one more picture, until the end of the context, that is decoded by another process."""
        self._heavy += 1
        self._note()
        try:
            yield
        finally:
            self._heavy -= 1
            self._note()

    def could_use(self, threads: int) -> bool:
        """Whether there could ever be so many CPUs idle."""
        return self._board.is_shared and self._cpus >= threads

    def may_use(self, threads: int) -> bool:
        """Whether so many CPUs are there at the moment for each worker that has work, this one included."""
        workers = self._board.count_busy(self._worker) + 1
        return self.could_use(threads) and self._cpus - min(self._heavy, _MOST_DECODING) >= workers * threads

    def _note(self) -> None:
        self._board.note_work(self._worker, has_some=self._has_light or self._heavy > 0)


def _share_memory(size: int) -> int:
    descriptor = os.memfd_create("board")
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
