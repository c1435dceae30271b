import asyncio
import gc
import itertools
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from service.errors import Overloaded
from service.lane import Lane, LoopLane, ThreadLane
from service.trace import Trace

MakeLane = Callable[[float], Lane]
Work = Callable[[Iterator[object]], list[object]]

pytestmark = pytest.mark.alone  # waits of milliseconds


def trace() -> Trace:
    return Trace()


def nap() -> str:
    time.sleep(0.05)
    return "done"


@pytest.fixture(params=["loop", "thread"])
def make_lane(request: pytest.FixtureRequest) -> MakeLane:
    return LoopLane if request.param == "loop" else partial(ThreadLane, "test")


async def outcomes(lane: Lane, count: int, *, admitted: bool = False) -> list[object]:
    work = [lane.run(nap, trace(), admitted=admitted) for _ in range(count)]
    return await asyncio.gather(*work, return_exceptions=True)


def test_work_is_done_and_its_wait_noted(make_lane: MakeLane) -> None:
    noted = trace()
    assert asyncio.run(make_lane(1.0).run(nap, noted)) == "done"
    assert noted.stages["queue"] >= 0


def test_what_would_wait_too_long_is_refused_and_the_rest_done(make_lane: MakeLane) -> None:
    async def flood() -> list[object]:
        lane = make_lane(0.12)
        for _ in range(30):  # until it knows how long its work takes
            await lane.run(nap, trace())
        return await outcomes(lane, 20)

    results = asyncio.run(flood())
    done = [result for result in results if result == "done"]
    refused = [result for result in results if isinstance(result, Overloaded)]
    assert len(done) + len(refused) == 20
    assert 1 <= len(done) <= 5
    assert all(1 <= error.retry_after <= 3 for error in refused)


def test_deadline_holds_before_the_lane_knows_its_work(make_lane: MakeLane) -> None:
    results = asyncio.run(outcomes(make_lane(0.12), 10))
    assert 1 <= results.count("done") <= 4
    assert sum(isinstance(result, Overloaded) for result in results) == 10 - results.count("done")


def test_admitted_work_is_never_refused(make_lane: MakeLane) -> None:
    assert asyncio.run(outcomes(make_lane(0.01), 5, admitted=True)) == ["done"] * 5


def test_idle_lane_takes_work_longer_than_its_longest_wait(make_lane: MakeLane) -> None:
    async def twice() -> list[str]:
        lane = make_lane(0.001)
        return [await lane.run(nap, trace()) for _ in range(2)]

    assert asyncio.run(twice()) == ["done", "done"]


def test_failure_of_the_work_is_its_callers(make_lane: MakeLane) -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(make_lane(1.0).run(fail, trace()))


def test_loop_goes_on_between_pieces_of_work() -> None:
    """So that what comes meanwhile is read, and refused or let in, before the next piece."""

    async def ticks_and_work() -> list[str]:
        seen: list[str] = []
        lane = LoopLane(10)
        work = [lane.run(lambda: seen.append("work"), trace()) for _ in range(3)]
        tasks = [asyncio.create_task(one) for one in work]
        await asyncio.sleep(0)
        while not all(task.done() for task in tasks):
            seen.append("tick")
            await asyncio.sleep(0)
        return seen

    seen = asyncio.run(ticks_and_work())
    works = [index for index, what in enumerate(seen) if what == "work"]
    assert len(works) == 3
    assert all(second - first > 1 for first, second in itertools.pairwise(works))


def test_caller_that_gives_up_leaves_the_lane_to_the_others() -> None:
    async def give_up_one() -> list[object]:
        lane = LoopLane(10)
        first, second, third = (asyncio.create_task(lane.run(nap, trace())) for _ in range(3))
        await asyncio.sleep(0)
        second.cancel()
        results: list[object] = await asyncio.gather(first, second, third, return_exceptions=True)
        return [*results, await lane.run(nap, trace())]

    first, second, third, later = asyncio.run(give_up_one())
    assert first == third == later == "done"
    assert isinstance(second, asyncio.CancelledError)


def test_lane_that_was_started_works_where_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = ThreadLane("test", 1.0)
    lane.start()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert asyncio.run(lane.run(nap, trace())) == "done"


class Picture:
    """Something that a reference can watch."""


def test_picture_whose_work_failed_is_let_go_at_once(make_lane: MakeLane) -> None:
    async def fail() -> weakref.ref[Picture]:
        picture = Picture()

        def work() -> None:
            raise ValueError(picture)

        with pytest.raises(ValueError, match="Picture"):
            await make_lane(1.0).run(work, trace())
        return weakref.ref(picture)

    gc.disable()
    try:
        assert asyncio.run(fail())() is None
    finally:
        gc.enable()


class Shared:
    """Work that notes what it was done on together, at most so many at a time; on "bad" it fails."""

    def __init__(self, most: int = 100) -> None:
        self._most = most
        self.turns: list[list[object]] = []

    def __call__(self, items: Iterator[object]) -> list[object]:
        taken = [*itertools.islice(items, self._most)]
        if taken:
            self.turns.append(taken)
        return [ValueError(item) if item == "bad" else item for item in taken]


async def shared(lane: LoopLane, *calls: tuple[Work, object]) -> list[object]:
    return await asyncio.gather(
        *(lane.share(work, item, trace()) for work, item in calls), return_exceptions=True
    )


def test_what_waits_for_the_same_work_shares_a_turn_and_the_work_says_how_many() -> None:
    async def flood() -> Shared:
        lane, work = LoopLane(10), Shared(most=5)
        assert await shared(lane, *((work, number) for number in range(12))) == [*range(12)]
        return work

    assert asyncio.run(flood()).turns == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]


def test_other_work_between_keeps_its_place() -> None:
    async def mixed() -> tuple[Shared, Shared]:
        lane, one, other = LoopLane(10), Shared(), Shared()
        await shared(lane, (one, 1), (one, 2), (other, 3), (one, 4))
        return one, other

    one, other = asyncio.run(mixed())
    assert (one.turns, other.turns) == ([[1, 2], [4]], [[3]])


def test_failure_of_one_item_is_not_its_neighbours() -> None:
    async def fail() -> list[object]:
        lane, work = LoopLane(10), Shared()
        return await shared(lane, (work, 1), (work, "bad"), (work, 3))

    first, bad, third = asyncio.run(fail())
    assert (first, third) == (1, 3)
    assert isinstance(bad, ValueError)


def test_who_gives_up_or_is_late_has_no_part_in_a_shared_turn() -> None:
    async def leave() -> tuple[list[object], Shared]:
        lane, work = LoopLane(0.03), Shared()
        late, gone = (asyncio.create_task(lane.share(work, item, trace())) for item in ("late", "gone"))
        await asyncio.sleep(0)
        gone.cancel()
        time.sleep(0.05)  # the loop is held up
        (refused,) = await asyncio.gather(late, return_exceptions=True)
        return [refused, *await shared(lane, (work, "stays"))], work

    (refused, stays), work = asyncio.run(leave())
    assert isinstance(refused, Overloaded)
    assert stays == "stays"
    assert work.turns == [["stays"]]


def failing(items: Iterator[object]) -> list[object]:
    """On "bad" it fails, on "worst" all of a turn."""
    taken = [*items]
    if "worst" in taken:
        raise MemoryError
    return [ValueError(item) if item == "bad" else item for item in taken]


def test_work_that_fails_as_a_whole_is_answered_to_all_of_its_turn() -> None:
    async def fail() -> list[object]:
        lane = LoopLane(10)
        sent = [(failing, item) for item in ("good", "worst", "bad")]
        return [*await shared(lane, *sent), *await shared(lane, (failing, "next"))]

    *failed, later = asyncio.run(fail())
    assert [type(error) for error in failed] == [MemoryError] * 3
    assert later == "next"


def test_picture_that_is_late_is_let_go_at_once() -> None:
    async def be_late() -> weakref.ref[Picture]:
        picture = Picture()
        late = asyncio.create_task(LoopLane(0.03).share(failing, picture, trace()))
        await asyncio.sleep(0)
        time.sleep(0.05)  # the loop is held up
        await asyncio.wait({late})
        assert isinstance(late.exception(), Overloaded)
        return weakref.ref(picture)

    gc.disable()
    try:
        assert asyncio.run(be_late())() is None
    finally:
        gc.enable()
