"""Connections to real sockets, taken by acceptors that stand for two workers."""

import asyncio
import errno
import itertools
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from service.acceptor import Acceptor, Counts


class Listening(socket.socket):
    """Has no descriptor left for a connection the first times."""

    short = 3

    def accept(self) -> tuple[socket.socket, object]:
        if self.short:
            self.short -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        yield bound


@pytest.fixture
def counts() -> Counts:
    return Counts.make(2)


@contextmanager
def accepting(*acceptors: Acceptor) -> Iterator[None]:
    """Connections are accepted within this context."""
    for acceptor in acceptors:
        start(acceptor)
    try:
        yield
    finally:
        for acceptor in acceptors:
            acceptor.close()


def start(acceptor: Acceptor) -> None:
    class Connection(asyncio.Protocol):
        def connection_lost(self, _: Exception | None) -> None:
            acceptor.note_lost()

    acceptor.start(Connection)


@contextmanager
def connected(listening: socket.socket, count: int) -> Iterator[None]:
    """So many clients have a connection within this context."""
    with ExitStack() as clients:
        for _ in range(count):
            clients.enter_context(socket.create_connection(listening.getsockname()))
        yield


def of_each(counts: Counts) -> list[int]:
    """How many each worker has that accepts, as another process would see it."""
    memory = os.pread(counts.descriptor, 1024, 0)
    return [count for (count,) in struct.iter_unpack("I", memory) if count != 2**32 - 1]


async def taken(counts: Counts, expected: int) -> list[int]:
    """How many each worker has, once they have so many together."""
    async with asyncio.timeout(5):
        while sum(of_each(counts)) != expected:
            await asyncio.sleep(0.01)
    return of_each(counts)


def test_connections_are_spread_evenly(listening: socket.socket, counts: Counts) -> None:
    async def take() -> list[int]:
        with (
            listening.dup() as same,
            accepting(Acceptor(listening, counts, 0), Acceptor(same, counts, 1)),
            connected(listening, 40),
        ):
            return await taken(counts, 40)

    first, second = asyncio.run(take())
    assert abs(first - second) <= 6


def test_worker_that_does_not_come_for_its_share_keeps_nobody_waiting(
    listening: socket.socket, counts: Counts
) -> None:
    async def take() -> list[int]:
        counts.set_in(1)  # and hangs
        with accepting(Acceptor(listening, counts, 0)), connected(listening, 40):
            return await taken(counts, 40)

    assert asyncio.run(take()) == [40, 0]


def test_connections_that_are_over_count_no_more(listening: socket.socket, counts: Counts) -> None:
    async def take_and_lose() -> list[int]:
        with accepting(Acceptor(listening, counts, 0)):
            with connected(listening, 3):
                await taken(counts, 3)
            return await taken(counts, 0)

    assert asyncio.run(take_and_lose()) == [0]


def test_worker_that_accepts_nothing_is_not_waited_for(counts: Counts) -> None:
    counts.set_in(0)
    counts.add(0, 5)
    assert not counts.is_ahead(0)
    counts.set_in(1)
    assert counts.is_ahead(0)
    counts.set_out(1)
    assert of_each(counts) == [5]


def test_connections_wait_where_there_is_no_descriptor_for_them(
    counts: Counts, caplog: pytest.LogCaptureFixture
) -> None:
    async def take() -> list[int]:
        with Listening() as listening:
            listening.bind(("127.0.0.1", 0))
            with accepting(Acceptor(listening, counts, 0)), connected(listening, 2):
                return await taken(counts, 2)

    assert asyncio.run(take()) == [2]
    assert caplog.messages == ["connections have to wait: Too many open files"]


def test_others_have_their_turns_while_many_connections_come(
    listening: socket.socket, counts: Counts
) -> None:
    async def take() -> list[int]:
        seen = [0]
        with connected(listening, 100), accepting(Acceptor(listening, counts, 0)):
            while seen[-1] < 100:
                await asyncio.sleep(0)
                seen += of_each(counts)
        return seen

    assert max(after - before for before, after in itertools.pairwise(asyncio.run(take()))) < 100


def test_connections_that_end_after_a_worker_has_closed_do_not_count(
    listening: socket.socket, counts: Counts
) -> None:
    async def close_first() -> list[int]:
        with connected(listening, 1), accepting(Acceptor(listening, counts, 0)):
            await taken(counts, 1)
        await asyncio.sleep(0.1)
        return of_each(counts)

    assert asyncio.run(close_first()) == []


def test_counts_are_seen_by_who_has_their_descriptor(counts: Counts) -> None:
    Counts(2, counts.descriptor).set_in(1)
    assert of_each(counts) == [0]


def test_worker_takes_whatever_comes_where_no_memory_can_be_shared(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As under a container's profile that forbids it."""

    def forbid(_: str) -> int:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "memfd_create", forbid)
    descriptor = Counts.make(2).descriptor
    first, second = (Counts(2, descriptor) for _ in range(2))
    first.set_in(0)
    first.add(0, 9)
    second.set_in(1)
    assert not first.is_ahead(0)
    assert "(Operation not permitted): connections go to whoever is first" in caplog.text
