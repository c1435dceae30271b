"""Hardly any descriptors are left to the workers, and all are taken: they live, and answer afterwards."""

import contextlib
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from chaos.crowd import crowd, not_answered, times_of
from chaos.descriptors import no_more_than, room_for
from chaos.experiment import Experiment, Outcome
from chaos.lab import Lab, eventually
from chaos.processes import descriptors
from loadtest.address import Address

SPARE = 20  # descriptors that each worker may have besides those it has
HOLD_SECONDS = 2.0
RECOVER_SECONDS = 5.0
_SENDERS, _PAUSE_SECONDS = 2, 0.02


def _run(lab: Lab, extent: int) -> Outcome:
    with room_for(extent), lab.service() as subject:
        workers = subject.workers()
        with no_more_than([(pid, descriptors(pid) + SPARE) for pid in workers]):
            with crowd(lambda: subject.address, _SENDERS, _PAUSE_SECONDS) as meanwhile:
                with _idle(subject.address, extent):
                    lab.say(f"{extent} idle connections are open")
                    time.sleep(HOLD_SECONDS)
                let_go = time.monotonic()
                eventually(
                    lambda: any(one.began > let_go and one.status == 200 for one in meanwhile),
                    RECOVER_SECONDS,
                )
                recovered = time.monotonic() - let_go
            # With the limit as low as before, and nobody who holds connections.
            with crowd(lambda: subject.address, _SENDERS, _PAUSE_SECONDS) as after:
                time.sleep(1)
        breaches = not_answered(after, "requests after the connections were let go")
        if recovered > RECOVER_SECONDS:
            breaches.append(f"no request was answered within {RECOVER_SECONDS:g} s of that")
        if subject.workers() != workers:
            breaches.append("not all workers are those of before")
        breaches += subject.faults()
    refused = sum(one.status != 200 for one in meanwhile)
    figures = {
        "requests meanwhile": f"{len(meanwhile):,}",
        "of them not answered": str(refused),
        "answers again after": f"{recovered:.1f} s",
        "times after": times_of(after),
    }
    return Outcome(figures, breaches)


@contextlib.contextmanager
def _idle(address: Address, count: int) -> Iterator[None]:
    """So many connections on which nothing comes; whether they are taken, left waiting or closed."""
    where = urlsplit(address.url)
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection((where.hostname or "", where.port or 0), timeout=10))
        yield


EXPERIMENT = Experiment(
    name="starved",
    does=f"each worker may open {SPARE} more descriptors, and {{extent}} idle connections are made for "
    f"{HOLD_SECONDS:g} s",
    criterion="meanwhile requests may wait or be refused; afterwards, the limit as low, all are answered, by "
    f"the same workers, the first within {RECOVER_SECONDS:g} s",
    short=200,
    long=2000,
    run=_run,
)
