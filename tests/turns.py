"""Turns for tests that share a machine: many at a time, or one that has it to itself.

With `pytest -n 2` each of two workers runs tests of its own. One that is marked `alone`, since it holds times
or rates against bounds, waits until no other runs, and no other starts meanwhile.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Hold the machine together with others, or alone; `folder` is the same for all who take turns."""
    with (folder / "gate").open("w") as gate, (folder / "machine").open("w") as machine:
        # Who wants to be alone keeps the gate while waiting, so that a stream of others can't pass it by.
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if not alone:
            fcntl.flock(gate, fcntl.LOCK_UN)
        yield
