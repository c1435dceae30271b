"""Two replicas behind a balancer are restarted one after the other: no request fails."""

import contextlib
import itertools
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from chaos.crowd import Asked, crowd, not_answered, times_of
from chaos.experiment import Experiment, Outcome
from chaos.lab import Lab, Subject
from loadtest.address import Address, ServerError
from loadtest.server import STOP_SECONDS

_SENDERS, _PAUSE_SECONDS = 4, 0.005
_POLL_SECONDS, _PATIENCE_SECONDS = 0.1, 10.0
_CALM_SECONDS = 1.0
_SETTINGS = {"GLIMPSE_WORKERS": "1", "GLIMPSE_MAX_WAIT_MS": "5000", "GLIMPSE_DRAIN_SECONDS": "1"}


class Balancer:
    """Sends each request to the next replica that has said it is ready; it tries none twice.

    It is told of new replicas. That one stops it has to find out, as any balancer, by asking /health/ready.
    """

    def __init__(self) -> None:
        self._replicas: list[Address] = []
        self._ready: tuple[Address, ...] = ()
        self._turn = itertools.count()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def add(self, replica: Address) -> None:
        """Begin to ask it whether it is ready."""
        self._replicas.append(replica)

    def remove(self, replica: Address) -> None:
        """Ask it no more."""
        self._replicas.remove(replica)

    def choose(self) -> Address:
        """The next one's address; where none is ready, waits, and in the end gives one that is not."""
        patience = time.monotonic() + _PATIENCE_SECONDS
        while not self._ready and time.monotonic() < patience:
            time.sleep(_POLL_SECONDS)
        some = self._ready or tuple(self._replicas)
        return some[next(self._turn) % len(some)]

    def _poll(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            self._ready = tuple(one for one in list(self._replicas) if _is_ready(one))


def _is_ready(replica: Address) -> bool:
    with contextlib.suppress(ServerError):
        return replica.get("/health/ready", 1).status == 200
    return False


class _Replica:
    """A service that can be stopped before its time."""

    def __init__(self, lab: Lab) -> None:
        self._stack = contextlib.ExitStack()
        self.subject: Subject = self._stack.enter_context(lab.service(_SETTINGS))

    def stop(self) -> list[str]:
        """Ask it to stop, as an operator does; what is wrong with how it did, a sentence each."""
        process = self.subject.service.process
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return [f"a replica did not stop within {STOP_SECONDS} s of SIGTERM"]
        breaches = self.subject.traces()
        return breaches if status == 0 else [*breaches, f"a replica ended with status {status} after SIGTERM"]

    def close(self) -> None:
        """See that it is gone."""
        self._stack.close()


def _run(lab: Lab, extent: int) -> Outcome:
    faults: list[str] = []
    with _replicas(lab) as replicas, Balancer() as balancer:
        for one in replicas:
            balancer.add(one.subject.address)
        with crowd(balancer.choose, _SENDERS, _PAUSE_SECONDS) as asked:
            time.sleep(_CALM_SECONDS)
            for number in range(extent):
                faults += _restart(lab, replicas, balancer)
                lab.say(f"{number + 1} of {extent} restarted")
                time.sleep(_CALM_SECONDS)
    return judge(asked, extent, faults)


@contextlib.contextmanager
def _replicas(lab: Lab) -> Iterator[deque[_Replica]]:
    """Two; those that run at the end are stopped."""
    replicas: deque[_Replica] = deque()
    try:
        for _ in range(2):
            replicas.append(_Replica(lab))
        yield replicas
    finally:
        for one in replicas:
            one.close()


def _restart(lab: Lab, replicas: deque[_Replica], balancer: Balancer) -> list[str]:
    """Stop the one that has run longest, and start another in its place."""
    old = replicas.popleft()
    try:
        breaches = old.stop()
    finally:
        old.close()
    balancer.remove(old.subject.address)
    replicas.append(_Replica(lab))
    balancer.add(replicas[-1].subject.address)
    return breaches


def judge(asked: Sequence[Asked], restarts: int, faults: Sequence[str]) -> Outcome:
    """Hold what became of the requests against none that failed."""
    failed = sum(one.status != 200 for one in asked)
    figures = {
        "restarts": str(restarts),
        "requests": f"{len(asked):,}",
        "failed": str(failed),
        "times": times_of(asked),
    }
    return Outcome(figures, [*not_answered(asked), *faults])


EXPERIMENT = Experiment(
    name="rolling",
    does="SIGTERM to one of two replicas under load, {extent} in all, and another started in its place; a "
    f"balancer asks /health/ready each {_POLL_SECONDS:g} s and tries no request twice",
    criterion="no request fails, and each replica ends with status 0",
    short=1,
    long=10,
    run=_run,
)
