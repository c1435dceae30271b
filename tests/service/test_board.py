"""A board that two workers share, as each of them sees it."""

import errno
import os

import pytest

from service import board as board_module
from service.board import Board, Place


@pytest.fixture
def board() -> Board:
    return Board.make(2)


class Clock:
    """Moves only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(board_module, "time", clock)
    return clock


def places(board: Board, cpus: int = 2) -> tuple[Place, Place]:
    """Those of two workers, each with its own view of the same memory."""
    return Place(board, 0, cpus), Place(Board(2, board.descriptor), 1, cpus)


def test_worker_that_accepts_nothing_is_not_waited_for(board: Board) -> None:
    board.set_in(0)
    board.add_connections(0, 5)
    assert not board.is_ahead(0)
    board.set_in(1)
    assert board.is_ahead(0)
    board.set_out(1)
    assert not board.is_ahead(0)


def test_connections_are_seen_by_who_has_the_descriptor(board: Board) -> None:
    other = Board(2, board.descriptor)
    board.set_in(0)
    other.set_in(1)
    other.add_connections(1, 8)
    assert other.is_ahead(1)
    assert not board.is_ahead(0)


def test_worker_may_use_cpus_while_the_others_have_no_work(board: Board) -> None:
    ours, theirs = places(board)
    assert ours.may_use(2)
    theirs.note_light(1)
    assert not ours.may_use(2)
    assert ours.may_use(1)


@pytest.mark.parametrize(("cpus", "workers"), [(2, 2), (4, 4), (5, 2), (6, 3), (8, 8), (12, 8), (16, 8)])
def test_no_more_threads_compute_than_there_are_cpus_however_many_workers_have_work(
    cpus: int, workers: int
) -> None:
    board = Board.make(workers)
    fewest, most = cpus // workers, min(cpus, 4)
    at_work: list[Place] = []
    for number in range(workers):
        at_work.append(Place(board, number, cpus))
        at_work[-1].note_light(1)
        threads = [most if place.may_use(most) else fewest for place in at_work]
        assert sum(threads) <= cpus
        assert max(threads) == most or number > 0


def test_more_threads_than_cpus_are_never_used(board: Board) -> None:
    ours, _ = places(board)
    assert ours.could_use(2)
    assert not ours.could_use(3)


def test_own_work_leaves_a_worker_its_cpus(board: Board) -> None:
    ours, _ = places(board)
    ours.note_light(1)
    assert ours.may_use(2)


def test_worker_that_had_work_a_moment_ago_is_about_to_get_more(board: Board, clock: Clock) -> None:
    ours, theirs = places(board)
    theirs.note_light(1)
    theirs.note_light(0)
    assert not ours.may_use(2)
    clock.now += 0.01
    assert ours.may_use(2)


def test_picture_that_is_decoded_apart_takes_a_cpu_from_its_worker_too(board: Board, clock: Clock) -> None:
    ours, theirs = places(board, cpus=3)
    with ours.with_heavy():
        ours.note_light(0)
        assert not theirs.may_use(3)
        assert ours.may_use(2)
        assert not ours.may_use(3)
        with ours.with_heavy():
            assert not ours.may_use(2)
            with ours.with_heavy():  # which waits for one of them
                assert ours.may_use(1)
    clock.now += 0.01
    assert theirs.may_use(3)
    assert ours.may_use(3)


def test_worker_that_died_at_work_leaves_its_cpus(board: Board) -> None:
    ours, theirs = places(board)
    theirs.note_light(1)
    board.set_out(1)
    assert not ours.may_use(2)  # it goes on with what it has
    board.clear(1)
    assert ours.may_use(2)


def test_workers_see_nothing_of_each_other_where_no_memory_can_be_shared(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As under a container's profile that forbids it."""

    def forbid(_: str) -> int:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "memfd_create", forbid)
    descriptor = Board.make(2).descriptor
    first, second = (Board(2, descriptor) for _ in range(2))
    first.set_in(0)
    first.add_connections(0, 9)
    second.set_in(1)
    assert not first.is_ahead(0)  # takes whatever comes
    assert not Place(first, 0, 2).could_use(2)
    (warning,) = caplog.messages
    assert warning.startswith("no memory can be shared (Operation not permitted): ")
