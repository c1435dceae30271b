"""How many files and connections a process may have open: of our own, or of the service's."""

import contextlib
import resource
import time
from collections.abc import Iterator, Sequence

from chaos.crowd import crowd
from chaos.experiment import Skipped
from chaos.lab import Subject

_OWN = 200  # that we need besides
_WARM_UP_SECONDS, _REST_SECONDS, _SENDERS = 1.0, 0.5, 4


@contextlib.contextmanager
def room_for(connections: int) -> Iterator[None]:
    """Be allowed to open so many at a time.

    Raises:
        Skipped: that is more than this process may ever have.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _OWN
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise Skipped(f"needs {needed} descriptors, and 'ulimit -Hn' is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def no_more_than(limits: Sequence[tuple[int, int]]) -> Iterator[None]:
    """Let each process, by its id, have only so many open; afterwards as many as before."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid, _ in limits}
    for pid, limit in limits:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[pid][1]))
    try:
        yield
    finally:
        for pid, limits_before in before.items():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits_before)


def resting_descriptors(subject: Subject) -> int:
    """How many the workers have open when nobody asks them, once they have what they open once and keep."""
    with crowd(lambda: subject.address, _SENDERS):
        time.sleep(_WARM_UP_SECONDS)
    time.sleep(_REST_SECONDS)  # until the last of their connections are closed
    return subject.descriptors()
