"""Workers are killed under load: only what they worked on may be lost, and soon there are as many again."""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from chaos.crowd import Asked, crowd, not_answered, times_of
from chaos.experiment import Experiment, Outcome
from chaos.lab import WORKERS, Lab, Subject, eventually
from chaos.processes import is_running

BACK_SECONDS = 5.0
_SENDERS = 8
_CALM_SECONDS = 1.0  # before the first one, and after each


@dataclass(frozen=True)
class Kill:
    """From when a worker may have been dying to when it was dead, and what it took to have another."""

    began: float
    dead: float
    back_seconds: float | None

    def may_have_taken(self, asked: Asked) -> bool:
        """Whether this request was in flight then."""
        return asked.began <= self.dead and asked.ended >= self.began


def _run(lab: Lab, extent: int) -> Outcome:
    # Who can't be answered at once is to wait: what is refused is not lost, but would hide what is.
    with lab.service({"GLIMPSE_MAX_WAIT_MS": "5000"}) as subject:
        kills = []
        with crowd(lambda: subject.address, _SENDERS) as asked:
            time.sleep(_CALM_SECONDS)
            for number in range(extent):
                kills.append(_kill(subject, subject.workers()[number % WORKERS]))
                lab.say(f"{number + 1} of {extent} killed")
                time.sleep(_CALM_SECONDS)
        return judge(asked, kills, subject.faults())


def _kill(subject: Subject, victim: int) -> Kill:
    began = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    while is_running(victim):
        time.sleep(0)
    dead = time.monotonic()
    is_back = eventually(
        lambda: victim not in subject.workers() and subject.ready_workers() == WORKERS, BACK_SECONDS
    )
    return Kill(began, dead, time.monotonic() - began if is_back else None)


def judge(asked: Sequence[Asked], kills: Sequence[Kill], faults: Sequence[str]) -> Outcome:
    """Hold what became of the requests against the moments of the kills."""
    lost = [one for one in asked if one.status != 200]
    unexcused = [one for one in lost if not any(kill.may_have_taken(one) for kill in kills)]
    in_flight = sum(any(kill.may_have_taken(one) for kill in kills) for one in asked)
    breaches = not_answered(unexcused, "requests that were not in flight at a kill") if unexcused else []
    late = [kill for kill in kills if kill.back_seconds is None]
    if late:
        breaches.append(f"{len(late)} of {len(kills)} workers were not replaced within {BACK_SECONDS:g} s")
    back = [kill.back_seconds for kill in kills if kill.back_seconds is not None]
    figures = {
        "requests": f"{len(asked):,}",
        "in flight while one died": str(in_flight),
        "lost": str(len(lost)),
        "back after": f"{max(back):.1f} s (slowest)" if back else "never",
        "times": times_of(asked),
    }
    return Outcome(figures, [*breaches, *faults])


EXPERIMENT = Experiment(
    name="kill",
    does="kill -9 of one of two workers, {extent} in all, while 8 clients ask",
    criterion="only requests in flight at a kill are lost; two workers answer again within "
    f"{BACK_SECONDS:g} s",
    short=1,
    long=10,
    run=_run,
)
