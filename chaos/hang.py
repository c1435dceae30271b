"""Workers are stopped under load, as if they hung: only what they worked on is lost, and others come."""

import signal

from chaos.experiment import Experiment, Outcome
from chaos.kill import BACK_SECONDS, end_workers
from chaos.lab import Lab

_HANG_SECONDS = 5.0
_PATIENCE = _HANG_SECONDS + BACK_SECONDS


def _run(lab: Lab, extent: int) -> Outcome:
    settings = {"GLIMPSE_HANG_SECONDS": f"{_HANG_SECONDS:g}"}
    return end_workers(lab, extent, signal.SIGSTOP, _PATIENCE, settings)


EXPERIMENT = Experiment(
    name="hang",
    does="SIGSTOP to one of two workers, {extent} in all, while 8 clients ask; "
    f"GLIMPSE_HANG_SECONDS is {_HANG_SECONDS:g}",
    criterion="only requests in flight as one stopped are lost; two workers answer again within "
    f"{_PATIENCE:g} s",
    short=1,
    long=3,
    run=_run,
)
