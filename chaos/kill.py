"""Workers are killed under load: only what they worked on may be lost, and soon there are as many again."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from chaos.crowd import Asked, crowd, not_answered, times_of
from chaos.experiment import Experiment, Outcome
from chaos.lab import WORKERS, Lab, Subject, eventually
from chaos.processes import is_running

BACK_SECONDS = 5.0
_SENDERS = 8
_CALM_SECONDS = 1.0  # before the first one, and after each


@dataclass(frozen=True)
class Kill:
    """From when a worker may have been ending to when it did nothing, and what it took to have another."""

    began: float
    dead: float
    back_seconds: float | None

    def may_have_taken(self, asked: Asked) -> bool:
        """Whether this request was in flight then."""
        return asked.began <= self.dead and asked.ended >= self.began


def _run(lab: Lab, extent: int) -> Outcome:
    return end_workers(lab, extent, signal.SIGKILL, BACK_SECONDS)


def end_workers(
    lab: Lab,
    extent: int,
    end: signal.Signals,
    patience: float,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Outcome:
    """Send workers a signal after which they do nothing more, one after the other, while others ask.

    Args:
        lab: what starts the service.
        extent: how many.
        end: the signal.
        patience: seconds until there have to be as many again.
        settings: of the service.
    """
    # Who can't be answered at once is to wait: what is refused is not lost, but would hide what is.
    with lab.service({"GLIMPSE_MAX_WAIT_MS": "5000", **settings}) as subject:
        kills = []
        with crowd(lambda: subject.address, _SENDERS) as asked:
            time.sleep(_CALM_SECONDS)
            for number in range(extent):
                kills.append(_end(subject, subject.workers()[number % WORKERS], end, patience))
                lab.say(f"{number + 1} of {extent} ended")
                time.sleep(_CALM_SECONDS)
        return judge(asked, kills, subject.faults(), patience)


def _end(subject: Subject, victim: int, end: signal.Signals, patience: float) -> Kill:
    began = time.monotonic()
    os.kill(victim, end)
    while is_running(victim):
        time.sleep(0)
    dead = time.monotonic()
    is_back = eventually(
        lambda: victim not in subject.workers() and subject.ready_workers() == WORKERS, patience
    )
    return Kill(began, dead, time.monotonic() - began if is_back else None)


def judge(
    asked: Sequence[Asked], kills: Sequence[Kill], faults: Sequence[str], patience: float = BACK_SECONDS
) -> Outcome:
    """Hold what became of the requests against the moments of the kills."""
    lost = [one for one in asked if one.status != 200]
    unexcused = [one for one in lost if not any(kill.may_have_taken(one) for kill in kills)]
    in_flight = sum(any(kill.may_have_taken(one) for kill in kills) for one in asked)
    breaches = not_answered(unexcused, "requests that were not in flight at a kill") if unexcused else []
    late = [kill for kill in kills if kill.back_seconds is None]
    if late:
        breaches.append(f"{len(late)} of {len(kills)} workers were not replaced within {patience:g} s")
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
