"""A setup in, what a service with it can do out."""

import json
import os
import re
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice

from service.started import StartError, started_service
from service.tune.calls import Timed, call, form
from service.tune.setups import Setup

WAIT_SHARE = 0.6  # of the time that calls may take, for waiting; answers still have to be made and sent
_CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_WARM_UP_SECONDS = 0.5
_WARM_UP_CONNECTIONS = 8
_READY_SECONDS = 60


@dataclass(frozen=True)
class Level:
    """What some connections that always ask got; times in milliseconds."""

    connections: int
    rate: float  # answers a second
    p50: float
    p95: float
    refused: int

    def holds(self, target: float) -> bool:
        """Whether none is refused and p95 is at most `target` milliseconds."""
        return not self.refused and self.p95 <= target


@dataclass(frozen=True)
class Batch:
    """The most pictures in one call that hold, and its p95 in milliseconds."""

    pictures: int
    p95: float


@contextmanager
def serving(setup: Setup, target: float, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """The URL of a warm service with this setup and otherwise with the settings that the shell gives.

    Raises:
        StartError: it does not start.
    """
    settings = {
        "GLIMPSE_WORKERS": str(setup.workers),
        "GLIMPSE_THREADS": str(setup.threads),
        "GLIMPSE_MOST_THREADS": str(setup.threads),  # what holds whatever the other workers do
        "GLIMPSE_MAX_WAIT_MS": str(WAIT_SHARE * target),
        "GLIMPSE_MAX_BATCH": str(max(_BATCHES)),
        "GLIMPSE_API_KEYS": "",
        "GLIMPSE_DRAIN_SECONDS": "0",
    }
    with started_service({**environment, **settings}) as url:
        _wait_for_workers(url, setup.workers)
        yield url


def warm_up(url: str, pictures: Sequence[bytes]) -> None:
    """Have every worker do what it does once."""
    call(url, _requests(pictures), _WARM_UP_CONNECTIONS, _WARM_UP_SECONDS)


def climb(url: str, pictures: Sequence[bytes], target: float, seconds: float) -> Iterator[Level]:
    """More and more connections, up to the first number at which `target` does not hold."""
    for connections in _CONNECTIONS:
        level = _sum_up(connections, call(url, _requests(pictures), connections, seconds))
        yield level
        if not level.holds(target):
            return


def largest_batch(
    url: str, pictures: Sequence[bytes], target: float, seconds: float, most_bytes: int
) -> Batch:
    """More and more pictures in one call, up to the last number at which `target` holds."""
    found = Batch(1, 0.0)
    for size in _BATCHES:
        request = form("/classify/batch", "files", list(islice(cycle(pictures), size)))
        if len(request) > most_bytes:
            break
        level = _sum_up(1, call(url, [request], 1, seconds))
        if not level.holds(target):
            break
        found = Batch(size, level.p95)
    return found


def answering_model(url: str) -> tuple[str, str]:
    """Name and version of the model that answers calls which name none."""
    answer = json.loads(_get(url, "/model/info"))
    return answer["model"]["name"], answer["model"]["version"]


def _requests(pictures: Sequence[bytes]) -> list[bytes]:
    return [form("/classify", "file", [picture]) for picture in pictures]


def _sum_up(connections: int, timed: Timed) -> Level:
    return Level(connections, timed.rate, timed.percentile(0.5), timed.percentile(0.95), timed.refused)


def _wait_for_workers(url: str, workers: int) -> None:
    """It listens with the first worker; the others come after."""
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        found = re.search(rb"^glimpse_workers (\S+)$", _get(url, "/metrics"), re.MULTILINE)
        if found and float(found[1]) == workers:
            return
        time.sleep(0.05)
    raise StartError(f"not all of {workers} workers were ready within {_READY_SECONDS} s")


def _get(url: str, path: str) -> bytes:
    with urllib.request.urlopen(f"{url}{path}", timeout=_READY_SECONDS) as answer:  # noqa: S310 - ours
        content: bytes = answer.read()
        return content
