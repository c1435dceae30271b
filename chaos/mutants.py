"""Harmed pictures, many of them: each gets a class or a 4xx, soon, and none harms the service."""

import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from chaos.experiment import Experiment, Outcome
from chaos.lab import Lab
from chaos.mutations import mutant, seeds
from chaos.sender import Sender, Sent
from loadtest.address import Address
from loadtest.results import percentile

SECONDS = 5.0
_CONNECTIONS = 4
_TOLD = 2000  # how many there are between two lines on how it goes
_REFUSALS = frozenset({400, 413, 415, 422})
_BUSY = 503


@dataclass(frozen=True)
class Answered:
    """What became of the mutant of this number."""

    number: int
    sent: Sent

    @property
    def is_right(self) -> bool:
        """Whether it is what may be answered to a stranger's picture."""
        if self.sent.status == _BUSY:
            return self.sent.retry_after is not None
        return self.sent.status == 200 or self.sent.status in _REFUSALS


def _run(lab: Lab, extent: int) -> Outcome:
    with lab.service({"GLIMPSE_MAX_WAIT_MS": "1000"}) as subject:
        workers = subject.workers()
        answered = _send_all(lab, subject.address, extent)
        faults = subject.faults()
        if subject.workers() != workers:
            faults.append("not all workers are those of before")
    return judge(answered, faults)


def _send_all(lab: Lab, address: Address, count: int) -> list[Answered]:
    answered: list[Answered] = []
    numbers, lock = itertools.count(), threading.Lock()

    def send_on() -> None:
        with Sender(address) as sender:
            while True:
                with lock:
                    number = next(numbers)
                if number >= count:
                    return
                answered.append(Answered(number, sender.post("/classify", mutant(number).data)))
                if number % _TOLD == _TOLD - 1:
                    lab.say(f"{number + 1:,} of {count:,} sent")

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        for sender in [pool.submit(send_on) for _ in range(_CONNECTIONS)]:
            sender.result()
    return answered


def judge(answered: Sequence[Answered], faults: Sequence[str]) -> Outcome:
    """Hold every answer against what may be."""
    breaches = []
    wrong = [one for one in answered if not one.is_right]
    if wrong:
        breaches.append(f"{len(wrong)} got another answer, the first {_name(wrong[0])}")
    slow = [one for one in answered if one.sent.seconds > SECONDS]
    if slow:
        worst = max(slow, key=lambda one: one.sent.seconds)
        slowest = f"{worst.sent.seconds:.1f} s: {_name(worst)}"
        breaches.append(f"{len(slow)} took over {SECONDS:g} s, the slowest {slowest}")
    times = sorted(1000 * one.sent.seconds for one in answered)
    statuses = sorted(Counter(one.sent.status for one in answered).items())
    figures = {
        "pictures": f"{len(answered):,} of {len(seeds())} kinds",
        **{f"status {status}": f"{count:,}" for status, count in statuses},
        "times": "/".join(f"{percentile(times, share):.0f}" for share in (0.5, 0.99, 1))
        + " ms (p50/p99/max)",
    }
    return Outcome(figures, [*breaches, *faults])


def _name(one: Answered) -> str:
    return f"mutant {one.number} ({mutant(one.number).kind}): status {one.sent.status}: {one.sent.said[:200]}"


EXPERIMENT = Experiment(
    name="mutants",
    does="{extent} pictures of all formats, each harmed in one to four ways that its number decides",
    criterion=f"each gets 200, 400, 413, 415, 422, or 503 with Retry-After, within {SECONDS:g} s; the same "
    "workers answer at the end; no stack trace is in the log",
    short=2000,
    long=100_000,
    run=_run,
)
