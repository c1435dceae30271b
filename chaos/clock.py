"""The wall clock jumps: requests go on, deadlines hold, and the log says what the clock does.

The machine's own clock is left alone. The service's processes load a library that adds a number to what the
clock says, and the number changes while they run.
"""

import contextlib
import datetime as dt
import json
import math
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from chaos.crowd import crowd, not_answered, times_of, too_slow
from chaos.experiment import Experiment, Outcome, Skipped
from chaos.lab import Lab
from loadtest.address import Address

STALL_SECONDS = 1
SLACK_SECONDS = 1.5
REQUEST_SECONDS = 1.0
_STAMP_SLACK_SECONDS = 1.0
_SENDERS, _PAUSE_SECONDS = 2, 0.02
_SOURCE = Path(__file__).parent / "shifted_clock.c"
_HOUR, _YEAR = 3600, 365 * 86_400
# Each from the true time: a summer, a winter, a machine without a battery, a wrong century, and back.
_SHIFTS = (_HOUR, -_HOUR, -10 * _YEAR, 75 * _YEAR, 30, 0)
_STALLED = b"POST /classify HTTP/1.1\r\nHost: stalled\r\nContent-Length: 1000\r\n\r\n\x89PNG"


@dataclass(frozen=True)
class Phase:
    """From when to when, in true seconds since 1970, the service's clock was wrong by `shift` seconds."""

    shift: int
    began: float
    ended: float

    def has(self, stamp: float) -> bool:
        """Whether the service could have written this in it."""
        true = stamp - self.shift
        return self.began - _STAMP_SLACK_SECONDS <= true <= self.ended + _STAMP_SLACK_SECONDS


class _Clock:
    """What the service's processes take for the wall clock; right until it is told otherwise."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "shift"
        self._set: list[tuple[int, float]] = []
        self.be_wrong_by(0)

    def be_wrong_by(self, shift: int) -> None:
        """Jump, from now on."""
        # In place: the processes look at this very file.
        with self.file.open("r+b" if self._set else "wb") as file:
            file.write(struct.pack("=q", shift))
        self._set.append((shift, time.time()))

    def phases(self) -> list[Phase]:
        """Until now."""
        ends = [began for _, began in self._set[1:]] + [time.time()]
        return [Phase(shift, began, ended) for (shift, began), ended in zip(self._set, ends, strict=True)]


def _run(lab: Lab, extent: int) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        library, clock = _build(Path(folder)), _Clock(Path(folder))
        settings = {
            "LD_PRELOAD": str(library),
            "CHAOS_CLOCK": str(clock.file),
            "GLIMPSE_STALL_SECONDS": str(STALL_SECONDS),
        }
        with lab.service(settings) as subject:
            with crowd(lambda: subject.address, _SENDERS, _PAUSE_SECONDS) as asked:
                stalls = [_stall_over_a_jump(subject.address, clock, shift) for shift in _SHIFTS[:extent]]
            stamps = list(_stamps(subject.log()))
            faults = subject.faults()
    breaches = [*not_answered(asked), *too_slow(asked, REQUEST_SECONDS)]
    breaches += judge_stalls(stalls) + judge_stamps(stamps, clock.phases())
    figures = {
        "requests": f"{len(asked):,}",
        "times": times_of(asked),
        "stalled bodies cut off after": f"{min(stalls):.2f} to {max(stalls):.2f} s",
        "log lines": f"{len(stamps):,}",
    }
    return Outcome(figures, breaches + faults)


def _build(folder: Path) -> Path:
    """The library that shifts a process's clock.

    Raises:
        Skipped: there is no compiler, or it has no headers.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise Skipped("needs a C compiler, 'cc', for a library that shifts the clock of a process")
    library = folder / "shifted_clock.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Skipped(f"needs a C compiler that works; cc says: {done.stderr.strip()}")
    return library


def _stall_over_a_jump(address: Address, clock: _Clock, shift: int) -> float:
    """Begin a body, have the clock jump, and wait; after how many seconds it was cut off with 408.

    It is infinite where it was not, or not so.
    """
    where = urlsplit(address.url)
    limit = STALL_SECONDS + SLACK_SECONDS
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=limit) as connection:
        connection.sendall(_STALLED)
        began = time.monotonic()
        time.sleep(STALL_SECONDS / 4)
        clock.be_wrong_by(shift)
        with contextlib.suppress(TimeoutError):
            if connection.recv(100).startswith(b"HTTP/1.1 408 "):
                return time.monotonic() - began
    return math.inf


def judge_stalls(seconds: Sequence[float]) -> list[str]:
    """A sentence if a deadline passed too soon or too late."""
    least, most = 0.9 * STALL_SECONDS, STALL_SECONDS + SLACK_SECONDS
    wrong = [one for one in seconds if not least <= one <= most]
    if not wrong:
        return []
    found = f"{len(wrong)} of {len(seconds)} stalled bodies were not cut off with 408"
    return [f"{found} within {least:g} to {most:g} s, but after {wrong[0]:.2f} s"]


def _stamps(log: str) -> Iterator[float]:
    for line in log.splitlines():
        with contextlib.suppress(ValueError):
            yield dt.datetime.fromisoformat(json.loads(line)["time"]).timestamp()


def judge_stamps(stamps: Sequence[float], phases: Sequence[Phase]) -> list[str]:
    """A sentence if the log has times that the clock never showed, or lacks some that it did."""
    strange = [stamp for stamp in stamps if not any(phase.has(stamp) for phase in phases)]
    breaches = []
    if strange:
        breaches.append(f"{len(strange)} of {len(stamps)} lines of the log have a time that no clock showed")
    silent = [phase.shift for phase in phases if not any(map(phase.has, stamps))]
    if silent:
        breaches.append(f"no line of the log has the time of a clock that is wrong by {silent} s")
    return breaches


EXPERIMENT = Experiment(
    name="clock",
    does="{extent} jumps of the service's wall clock, the first an hour ahead, the next to an hour back, "
    "then ten years back and 75 ahead, each while bodies stall and others ask",
    criterion=f"all are answered, each within {REQUEST_SECONDS:g} s; a stalled body gets 408 when its "
    f"{STALL_SECONDS} s are over; each line of the log has the time of its clock",
    short=2,
    long=len(_SHIFTS),
    run=_run,
)
