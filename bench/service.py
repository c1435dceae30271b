"""A model in, what the whole service does with it out: calls without a pause, calls at a rate, its memory."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import get_args

from bench.at_rate import call_at
from bench.figures import Closed, Due, Memory, Open, Round, Service
from chaos import processes
from chaos.lab import Lab, Subject
from loadtest import pictures
from loadtest.address import ServerError
from loadtest.payloads import build_payloads
from loadtest.scenarios import SCENARIOS
from loadtest.schedule import draw_arrivals
from service.tune.calls import CallError, Timed, bare, call, form, post

FORM, BARE, BATCH = "form", "bare body", "batch of 32"
_A_BATCH = 32
# What is sent, and how often at a time.
_KINDS: Mapping[str, Sequence[int]] = {FORM: (1, 16, 64), BARE: (1, 16, 64), BATCH: (1,)}
# What is sent, how often a second, and for how many turns' seconds, as p95 needs some hundred.
_RATES = (("cifar", 500.0, 1), ("phone", 20.0, 4))
_CROWD = 16  # connections that warm it up, and that fill its memory
_WARM_UP_SECONDS = 1.0
_CHUNK_SECONDS = 2.0

Say = Callable[[str], object]


def measure_service(lab: Lab, model: str, rounds: int, seconds: float, requests: int, say: Say) -> Service:
    """Start the service with `model` as its default, and measure it.

    Args:
        lab: what starts it.
        model: the default model's name.
        rounds: how often each number of connections gets its turn.
        seconds: of each turn, and of each load of small pictures at a rate; of photos, four times as long.
        requests: how many it answers between the two looks at its memory.
        say: takes a line on how it goes.

    Raises:
        ServerError: it could not be measured.
    """
    settings = {**_plan(), "GLIMPSE_DEFAULT_MODEL": model}
    started = time.perf_counter()
    with _told(), lab.service(settings) as subject:
        ready = time.perf_counter() - started
        url = subject.service.url
        call(url, _requests(FORM), _CROWD, _WARM_UP_SECONDS)
        closed = _closed(url, rounds, seconds, lambda what: say(f"{model}: {what}"))
        opened = []
        for scenario, rate, turns in _RATES:
            for due in get_args(Due):
                say(f"{model}: {scenario} at {rate:g}/s, due {due}")
                opened.append(_open(url, scenario, rate, turns * seconds, due))
        say(f"{model}: {requests:,} requests")
        return Service(model, ready, closed, opened, _fill(subject, requests))


def _plan() -> dict[str, str]:
    """The service's own number of workers, not the lab's; and nothing is refused for its wait."""
    workers = str(len(os.sched_getaffinity(0)))
    threads = {"GLIMPSE_THREADS": "1", "GLIMPSE_MOST_THREADS": ""}
    return {"GLIMPSE_WORKERS": workers, **threads, "GLIMPSE_MAX_WAIT_MS": "1000"}


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except CallError as error:
        raise ServerError(str(error)) from error


def _closed(url: str, rounds: int, seconds: float, say: Say) -> list[Closed]:
    """All kinds and numbers in turn, over and over, so that what drifts hits all alike."""
    found: dict[tuple[str, int], list[Round]] = {}
    for number in range(1, rounds + 1):
        for kind, all_connections in _KINDS.items():
            for connections in all_connections:
                say(f"round {number} of {rounds}: {kind}, {connections} at a time")
                timed = call(url, _requests(kind), connections, seconds)
                found.setdefault((kind, connections), []).append(_round(timed, kind))
    return [Closed(kind, connections, each) for (kind, connections), each in found.items()]


def _round(timed: Timed, kind: str) -> Round:
    if timed.refused or not timed.times:
        raise ServerError(
            f"the service refused {timed.refused} calls ({kind}) and answered {len(timed.times)}"
        )
    pictures_a_call = _A_BATCH if kind == BATCH else 1
    times = (timed.percentile(share) for share in (0.5, 0.95, 0.99))
    return Round(len(timed.times), pictures_a_call * timed.rate, *times)


def _open(url: str, scenario: str, rate: float, seconds: float, due: Due) -> Open:
    """Those that a load test sends, where due at random at the same moments, but from a lighter generator."""
    weights = SCENARIOS[scenario].weights
    requests = {
        kind: [post(one.path, one.content_type, one.body) for one in payloads]
        for kind, payloads in build_payloads(weights).items()
    }
    arrivals = draw_arrivals(weights, rate, seconds)
    moments = [one.due if due == "at random" else number / rate for number, one in enumerate(arrivals)]
    chosen = [requests[one.kind][int(one.pick * len(requests[one.kind]))] for one in arrivals]
    timed = call_at(url, list(zip(moments, chosen, strict=True)))
    times = (timed.percentile(share) for share in (0.5, 0.95, 0.99))
    return Open(scenario, rate, due, len(timed.times), timed.refused, *times)


def _fill(subject: Subject, requests: int) -> Memory:
    before, answered = _held(subject), 0
    while answered < requests:
        timed = call(subject.service.url, _requests(FORM), _CROWD, _CHUNK_SECONDS)
        answered += _round(timed, FORM).n
    return Memory(answered, before, _held(subject))


def _held(subject: Subject) -> list[float]:
    """MB of each worker."""
    return [processes.memory_bytes(pid) / 1e6 for pid in subject.workers()]


def _requests(kind: str) -> list[bytes]:
    files = [pictures.png(name) for name in pictures.names()]
    if kind == BATCH:
        return [form("/classify/batch", "files", [files[index % len(files)] for index in range(_A_BATCH)])]
    return [form("/classify", "file", [file]) if kind == FORM else bare("/classify", file) for file in files]
