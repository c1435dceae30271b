"""Connections to real sockets, taken by acceptors that stand for two workers."""

import asyncio
import errno
import itertools
import os
import socket
from collections.abc import Iterator

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


def accept_for(acceptor: Acceptor) -> None:
    class Connection(asyncio.Protocol):
        def connection_lost(self, _: Exception | None) -> None:
            acceptor.note_lost()

    acceptor.start(Connection)


async def taken(counts: Counts, expected: int) -> list[int]:
    """How many each worker has, once they have so many together."""
    async with asyncio.timeout(5):
        while sum(counts.seen()) != expected:
            await asyncio.sleep(0.01)
    return counts.seen()


def connect(listening: socket.socket, count: int) -> list[socket.socket]:
    return [socket.create_connection(listening.getsockname()) for _ in range(count)]


def test_connections_are_spread_evenly(listening: socket.socket, counts: Counts) -> None:
    async def take() -> list[int]:
        with listening.dup() as same:
            both = Acceptor(listening, counts, 0), Acceptor(same, counts, 1)
            for acceptor in both:
                accept_for(acceptor)
            clients = connect(listening, 40)
            spread = await taken(counts, 40)
            for acceptor in both:
                acceptor.close()
            for client in clients:
                client.close()
            return spread

    first, second = asyncio.run(take())
    assert abs(first - second) <= 6


def test_worker_that_does_not_come_for_its_share_keeps_nobody_waiting(
    listening: socket.socket, counts: Counts
) -> None:
    async def take() -> list[int]:
        counts.set_in(1)  # and hangs
        acceptor = Acceptor(listening, counts, 0)
        accept_for(acceptor)
        clients = connect(listening, 40)
        spread = await taken(counts, 40)
        acceptor.close()
        for client in clients:
            client.close()
        return spread

    assert asyncio.run(take()) == [40, 0]


def test_connections_that_are_over_count_no_more(listening: socket.socket, counts: Counts) -> None:
    async def take_and_lose() -> list[int]:
        acceptor = Acceptor(listening, counts, 0)
        accept_for(acceptor)
        clients = connect(listening, 3)
        await taken(counts, 3)
        for client in clients:
            client.close()
        left = await taken(counts, 0)
        acceptor.close()
        return left

    assert asyncio.run(take_and_lose()) == [0]


def test_worker_that_accepts_nothing_is_not_waited_for(counts: Counts) -> None:
    counts.set_in(0)
    counts.add(0, 5)
    assert not counts.is_ahead(0)
    counts.set_in(1)
    assert counts.is_ahead(0)
    counts.set_out(1)
    assert counts.seen() == [5]


def test_connections_wait_where_there_is_no_descriptor_for_them(
    counts: Counts, caplog: pytest.LogCaptureFixture
) -> None:
    async def take() -> list[int]:
        with Listening() as listening:
            listening.bind(("127.0.0.1", 0))
            acceptor = Acceptor(listening, counts, 0)
            accept_for(acceptor)
            clients = connect(listening, 2)
            spread = await taken(counts, 2)
            acceptor.close()
            for client in clients:
                client.close()
            return spread

    assert asyncio.run(take()) == [2]
    assert caplog.messages == ["connections have to wait: Too many open files"]


def test_others_have_their_turns_while_many_connections_come(
    listening: socket.socket, counts: Counts
) -> None:
    async def take() -> list[int]:
        clients = connect(listening, 100)
        acceptor = Acceptor(listening, counts, 0)
        accept_for(acceptor)
        seen = [0]
        while seen[-1] < len(clients):
            await asyncio.sleep(0)
            seen += counts.seen()
        acceptor.close()
        for client in clients:
            client.close()
        return seen

    assert max(after - before for before, after in itertools.pairwise(asyncio.run(take()))) < 100


def test_connections_that_end_after_a_worker_has_closed_do_not_count(
    listening: socket.socket, counts: Counts
) -> None:
    async def close_first() -> list[int]:
        acceptor = Acceptor(listening, counts, 0)
        accept_for(acceptor)
        (client,) = connect(listening, 1)
        await taken(counts, 1)
        acceptor.close()
        client.close()
        await asyncio.sleep(0.1)
        return counts.seen()

    assert asyncio.run(close_first()) == []


def test_counts_are_seen_by_who_has_their_descriptor(counts: Counts) -> None:
    Counts(2, counts.descriptor).set_in(1)
    assert counts.seen() == [0]


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
