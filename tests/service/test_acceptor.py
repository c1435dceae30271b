"""Connections to real sockets, taken by acceptors that stand for two workers."""

import asyncio
import errno
import gc
import itertools
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from service.acceptor import Acceptor
from service.board import Board


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
def board() -> Board:
    return Board.make(2)


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


def of_each(board: Board) -> list[int]:
    """How many each worker has that accepts, as another process would see it."""
    memory = os.pread(board.descriptor, 1024, 2 * struct.calcsize("d"))
    return [count for (count,) in struct.iter_unpack("I", memory) if count != 2**32 - 1]


async def taken(board: Board, expected: int) -> list[int]:
    """How many each worker has, once they have so many together."""
    async with asyncio.timeout(5):
        while sum(of_each(board)) != expected:
            await asyncio.sleep(0.01)
    return of_each(board)


def test_connections_are_spread_evenly(listening: socket.socket, board: Board) -> None:
    async def take() -> list[int]:
        with (
            listening.dup() as same,
            accepting(Acceptor(listening, board, 0), Acceptor(same, board, 1)),
            connected(listening, 40),
        ):
            return await taken(board, 40)

    first, second = asyncio.run(take())
    assert abs(first - second) <= 6


def test_worker_that_does_not_come_for_its_share_keeps_nobody_waiting(
    listening: socket.socket, board: Board
) -> None:
    async def take() -> list[int]:
        board.set_in(1)  # and hangs
        with accepting(Acceptor(listening, board, 0)), connected(listening, 40):
            return await taken(board, 40)

    assert asyncio.run(take()) == [40, 0]


def test_connections_that_are_over_count_no_more(listening: socket.socket, board: Board) -> None:
    async def take_and_lose() -> list[int]:
        with accepting(Acceptor(listening, board, 0)):
            with connected(listening, 3):
                await taken(board, 3)
            return await taken(board, 0)

    assert asyncio.run(take_and_lose()) == [0]


def test_connections_wait_where_there_is_no_descriptor_for_them(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    async def take() -> list[int]:
        with Listening() as listening:
            listening.bind(("127.0.0.1", 0))
            with accepting(Acceptor(listening, board, 0)), connected(listening, 2):
                return await taken(board, 2)

    assert asyncio.run(take()) == [2]
    assert caplog.messages == ["connections have to wait: Too many open files"]


def test_others_have_their_turns_while_many_connections_come(listening: socket.socket, board: Board) -> None:
    async def take() -> list[int]:
        seen = [0]
        with connected(listening, 100), accepting(Acceptor(listening, board, 0)):
            while seen[-1] < 100:
                await asyncio.sleep(0)
                seen += of_each(board)
        return seen

    assert max(after - before for before, after in itertools.pairwise(asyncio.run(take()))) < 100


def test_connections_that_end_after_a_worker_has_closed_do_not_count(
    listening: socket.socket, board: Board
) -> None:
    async def close_first() -> list[int]:
        with connected(listening, 1), accepting(Acceptor(listening, board, 0)):
            await taken(board, 1)
        await asyncio.sleep(0.1)
        return of_each(board)

    assert asyncio.run(close_first()) == []


def test_connection_that_can_not_be_served_is_closed_and_counts_no_more(
    listening: socket.socket, board: Board
) -> None:
    """As when there is no memory for it; what went wrong is the event loop's to log."""
    acceptor, told = Acceptor(listening, board, 0), list[str]()
    outcomes = iter([MemoryError("none left"), None])

    class Connection(asyncio.Protocol):
        def __init__(self) -> None:
            if (error := next(outcomes)) is not None:
                raise error

    def refused_at_once(client: socket.socket) -> bool:
        client.settimeout(5)
        return client.recv(1) == b""

    async def connect_twice() -> tuple[bool, list[int]]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(repr(context.get("exception"))))
        acceptor.start(Connection)
        try:
            with socket.create_connection(listening.getsockname()) as client:
                is_refused = await asyncio.to_thread(refused_at_once, client)
            with connected(listening, 1):
                return is_refused, await taken(board, 1)
        finally:
            acceptor.close()

    assert asyncio.run(connect_twice()) == (True, [1])
    gc.collect()
    assert told == ["MemoryError('none left')"]
