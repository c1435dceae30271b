"""A board that two workers share, as each of them sees it."""

import errno
import os
import time

import pytest

from service.board import Board, Place


@pytest.fixture
def board() -> Board:
    return Board.make(2)


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


def test_own_work_leaves_a_worker_its_cpus(board: Board) -> None:
    ours, _ = places(board)
    ours.note_light(1)
    assert ours.may_use(2)


def test_worker_that_had_work_a_moment_ago_is_about_to_get_more(board: Board) -> None:
    ours, theirs = places(board)
    theirs.note_light(1)
    theirs.note_light(0)
    assert not ours.may_use(2)
    time.sleep(0.01)
    assert ours.may_use(2)


def test_picture_that_is_decoded_apart_takes_a_cpu_from_its_worker_too(board: Board) -> None:
    ours, theirs = places(board, cpus=3)
    with ours.with_heavy(), ours.with_heavy():
        ours.note_light(0)
        assert not theirs.may_use(3)
        assert ours.may_use(2)
        assert not ours.may_use(3)
    time.sleep(0.01)
    assert theirs.may_use(3)
    assert ours.may_use(3)


def test_worker_that_died_at_work_leaves_its_cpus(board: Board) -> None:
    ours, theirs = places(board)
    theirs.note_light(1)
    board.set_out(1)
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
    assert not Place(first, 0, 2).may_use(2)
    assert caplog.messages == [
        "no memory can be shared (Operation not permitted): connections go to whoever is first"
    ]
