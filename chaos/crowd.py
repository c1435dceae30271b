"""A service's address in, what became of each request of a crowd that asks it all along out."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from loadtest import pictures
from loadtest.address import Address, ServerError
from loadtest.results import percentile

_PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Asked:
    """One request for the class of a small picture, on a connection of its own; moments are monotonic."""

    began: float
    ended: float
    status: int  # 0 where nothing was answered
    said: str

    @property
    def milliseconds(self) -> float:
        """From the wish to connect to the last byte of the answer."""
        return 1000 * (self.ended - self.began)


@contextlib.contextmanager
def crowd(choose: Callable[[], Address], senders: int, pause: float = 0.0) -> Iterator[list[Asked]]:
    """Have so many ask whom `choose` names, each again `pause` seconds after it was answered.

    The list grows meanwhile; after the context it has what became of every request that was sent.
    """
    asked: list[Asked] = []
    stop = threading.Event()
    body = pictures.png("cat")

    def ask_on() -> None:
        while not stop.wait(pause):
            asked.append(_ask(choose(), body))

    threads = [threading.Thread(target=ask_on) for _ in range(senders)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _ask(address: Address, body: bytes) -> Asked:
    began = time.monotonic()
    try:
        answer = address.post("/classify", body, "image/png", _PATIENCE_SECONDS)
    except ServerError as error:
        return Asked(began, time.monotonic(), 0, str(error))
    return Asked(began, time.monotonic(), answer.status, answer.text)


def not_answered(asked: Sequence[Asked], what: str = "requests") -> list[str]:
    """A sentence if there are any that did not get their class."""
    failed = [one for one in asked if one.status != 200]
    if not asked:
        return [f"no {what} were sent"]
    if not failed:
        return []
    first = failed[0]
    said = f"status {first.status}: {first.said[:200]}"
    return [f"{len(failed)} of {len(asked)} {what} failed, the first with {said}"]


def too_slow(asked: Sequence[Asked], seconds: float, what: str = "requests") -> list[str]:
    """A sentence if one took longer."""
    slowest = max((one.milliseconds for one in asked), default=0.0)
    if slowest <= 1000 * seconds:
        return []
    return [f"the slowest of {len(asked)} {what} took {slowest:.0f} ms, more than {1000 * seconds:.0f} ms"]


def times_of(asked: Sequence[Asked]) -> str:
    """Their median, 95th percentile and longest, as they are shown."""
    times = sorted(one.milliseconds for one in asked)
    if not times:
        return "none"
    return f"{percentile(times, 0.5):.0f}/{percentile(times, 0.95):.0f}/{times[-1]:.0f} ms (p50/p95/max)"
