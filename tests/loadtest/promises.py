"""Work that mostly waits, begun before its tests ask for what came of it."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")


@contextmanager
def promises(
    work: Mapping[str, Callable[[], Result]], at_a_time: int = 4
) -> Iterator[Callable[[str], Result]]:
    """Begin all of it, some at a time; what came of each is had, or its error raised, by its name."""
    with ThreadPoolExecutor(at_a_time) as pool:
        begun = {name: pool.submit(one) for name, one in work.items()}
        yield lambda name: begun[name].result()
        pool.shutdown(cancel_futures=True)
