"""Connections are opened and dropped: the service has as many descriptors open as before."""

import contextlib
import itertools
import socket
import struct
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from chaos.crowd import crowd, not_answered, times_of, too_slow
from chaos.descriptors import resting_descriptors, room_for
from chaos.experiment import Experiment, Outcome
from chaos.lab import Lab, Subject, eventually
from loadtest.address import Address

AT_A_TIME = 1000
HOLD_SECONDS, SETTLE_SECONDS = 1.0, 5.0
NEIGHBOUR_SECONDS = 1.0
_NEIGHBOURS, _PAUSE_SECONDS = 1, 0.05
# What is sent before it is dropped: nothing, half of the headers, half of a body.
_BEGINNINGS = (
    b"",
    b"POST /classify HTTP/1.1\r\nHost: go",
    b"POST /classify HTTP/1.1\r\nHost: gone\r\nContent-Length: 1000\r\n\r\n\x89PNG",
)
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: the other side gets a reset instead of an end


def _run(lab: Lab, extent: int) -> Outcome:
    with room_for(AT_A_TIME), lab.service() as subject:
        before, most = resting_descriptors(subject), 0
        with crowd(lambda: subject.address, _NEIGHBOURS, _PAUSE_SECONDS) as neighbours:
            left = extent
            while left:
                now = min(left, AT_A_TIME)
                most = max(most, _open_and_drop(subject, now))
                left -= now
                lab.say(f"{extent - left:,} of {extent:,} dropped")
        eventually(lambda: subject.descriptors() <= before, SETTLE_SECONDS)
        after = subject.descriptors()
        faults = subject.faults()
    breaches = []
    if after > before:
        breaches.append(f"{after} descriptors are open in the workers, {after - before} more than before")
    breaches += not_answered(neighbours, "neighbours' requests")
    breaches += too_slow(neighbours, NEIGHBOUR_SECONDS, "neighbours' requests")
    figures = {
        "descriptors before": str(before),
        "most": str(most),
        "after": str(after),
        "neighbours' times": times_of(neighbours),
    }
    return Outcome(figures, [*breaches, *faults])


def _open_and_drop(subject: Subject, count: int) -> int:
    """The service's descriptors while they were open."""
    with _open(subject.address, count):
        eventually(lambda: subject.descriptors() >= count, SETTLE_SECONDS)
        time.sleep(HOLD_SECONDS)
        return subject.descriptors()


@contextlib.contextmanager
def _open(address: Address, count: int) -> Iterator[None]:
    """So many connections, a third of each kind, of which every other one ends with a reset."""
    where = urlsplit(address.url)
    with contextlib.ExitStack() as stack:
        for index, beginning in zip(range(count), itertools.cycle(_BEGINNINGS), strict=False):
            connection = socket.create_connection((where.hostname or "", where.port or 0), timeout=10)
            stack.enter_context(connection)
            connection.sendall(beginning)
            if index % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        yield


EXPERIMENT = Experiment(
    name="connections",
    does=f"{{extent}} connections, up to {AT_A_TIME:,} at a time, are opened and dropped: silent ones, amid "
    "headers, amid a body",
    criterion="the workers have no more descriptors open than before; neighbours are all answered, each "
    f"within {NEIGHBOUR_SECONDS:g} s",
    short=1000,
    long=10_000,
    run=_run,
)
