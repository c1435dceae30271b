"""A thousand clients that hardly send anything: they are cut off in time, and keep nobody else waiting."""

import contextlib
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from chaos.crowd import Asked, crowd, not_answered, times_of, too_slow
from chaos.descriptors import room_for
from chaos.experiment import Experiment, Outcome
from chaos.lab import Lab
from loadtest.address import Address

CLIENTS = 500  # of each kind
SLACK_SECONDS = 2.0  # that the service may be late in cutting them off
NEIGHBOUR_SECONDS = 1.0
_DRIP_SECONDS = 0.5
_NEIGHBOURS, _PAUSE_SECONDS = 2, 0.02
_HEAD = b"POST /classify HTTP/1.1\r\nHost: slow\r\nContent-Type: image/png\r\n"
_BEGINNINGS = {"headers": _HEAD + b"X-Slow: ", "bodies": _HEAD + b"Content-Length: 100000\r\n\r\n"}


@dataclass
class SlowClient:
    """A connection on which a byte goes out now and then; `seconds` is how long it was let."""

    kind: str
    connection: socket.socket
    opened: float
    seconds: float | None = None
    answer: bytes = b""

    def drip(self) -> None:
        """Send a byte; a connection that is closed shows when it is read."""
        with contextlib.suppress(OSError):
            self.connection.send(b"a")

    def read(self) -> None:
        """Take an answer, or the end."""
        with contextlib.suppress(OSError):  # a reset is an end too
            self.answer += self.connection.recv(4096)
        self.seconds = time.monotonic() - self.opened


def _run(lab: Lab, extent: int) -> Outcome:
    names = ("HEADER", "STALL", "READ")
    settings = {f"GLIMPSE_{name}_SECONDS": str(extent) for name in names}
    # A thousand connections at once take a worker some 30 ms: how long neighbours wait is to be seen.
    settings["GLIMPSE_MAX_WAIT_MS"] = str(1000 * NEIGHBOUR_SECONDS)
    with room_for(2 * CLIENTS), lab.service(settings) as subject:
        with (
            crowd(lambda: subject.address, _NEIGHBOURS, _PAUSE_SECONDS) as neighbours,
            _slow_clients(subject.address) as clients,
        ):
            lab.say(f"{len(clients)} slow clients are connected")
            _drip_until_cut_off(clients, extent + SLACK_SECONDS)
        return judge(clients, neighbours, extent, subject.faults())


@contextlib.contextmanager
def _slow_clients(address: Address) -> Iterator[list[SlowClient]]:
    where = urlsplit(address.url)
    clients: list[SlowClient] = []
    try:
        for _ in range(CLIENTS):
            for kind, beginning in _BEGINNINGS.items():
                connection = socket.create_connection((where.hostname or "", where.port or 0), timeout=10)
                connection.sendall(beginning)
                connection.settimeout(0)
                clients.append(SlowClient(kind, connection, time.monotonic()))
        yield clients
    finally:
        for client in clients:
            client.connection.close()


def _drip_until_cut_off(clients: Sequence[SlowClient], seconds: float) -> None:
    """Go on until none is left, or until the last one should long be gone."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.connection, selectors.EVENT_READ, client)
        end = time.monotonic() + seconds
        next_drip = 0.0
        while selector.get_map() and time.monotonic() < end:
            if time.monotonic() >= next_drip:
                next_drip = time.monotonic() + _DRIP_SECONDS
                for key in list(selector.get_map().values()):
                    key.data.drip()
            for key, _ in selector.select(_DRIP_SECONDS / 10):
                key.data.read()
                selector.unregister(key.fileobj)


def judge(
    clients: Sequence[SlowClient], neighbours: Sequence[Asked], patience: float, faults: Sequence[str]
) -> Outcome:
    """Hold how long the slow ones were let, and how the others fared, against what is promised."""
    breaches = []
    figures = {}
    for kind in _BEGINNINGS:
        ours = [client for client in clients if client.kind == kind]
        let = [client.seconds for client in ours if client.seconds is not None]
        limit = patience + SLACK_SECONDS
        kept = len(ours) - sum(seconds <= limit for seconds in let)
        if kept:
            breaches.append(f"{kept} of {len(ours)} with slow {kind} were not cut off within {limit:g} s")
        figures[f"slow {kind} let"] = f"{max(let):.1f} s at most" if let else "for ever"
    bodies = [client for client in clients if client.kind == "bodies" and client.seconds is not None]
    untold = sum(not client.answer.startswith(b"HTTP/1.1 408 ") for client in bodies)
    if untold:
        breaches.append(f"{untold} of {len(bodies)} with slow bodies were cut off without a 408")
    breaches += not_answered(neighbours, "neighbours' requests")
    breaches += too_slow(neighbours, NEIGHBOUR_SECONDS, "neighbours' requests")
    figures |= {"neighbours' requests": f"{len(neighbours):,}", "their times": times_of(neighbours)}
    return Outcome(figures, [*breaches, *faults])


EXPERIMENT = Experiment(
    name="slow",
    does=f"{CLIENTS} clients send their headers, and {CLIENTS} their bodies, a byte each {_DRIP_SECONDS:g} "
    "s; the service's patience is {extent} s",
    criterion=f"all are cut off at most {SLACK_SECONDS:g} s after it, bodies with 408; neighbours are all "
    f"answered, each within {NEIGHBOUR_SECONDS:g} s",
    short=2,
    long=10,
    run=_run,
)
