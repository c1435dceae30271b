"""Settings in, a running service that experiments may do harm to out."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from chaos import processes
from loadtest.address import Address, ServerError
from loadtest.server import START_SECONDS, Service, running_service
from loadtest.target import own_service

WORKERS = 2
_TRACE = "Traceback (most recent call last)"
_PAUSE_SECONDS = 0.02
# What experiments rely on, whatever the shell has set for a service.
_SETTINGS = {
    "GLIMPSE_WORKERS": str(WORKERS),
    "GLIMPSE_THREADS": "1",
    "GLIMPSE_MOST_THREADS": "",
    "GLIMPSE_LOG_FORMAT": "json",
    "GLIMPSE_LOG_LEVEL": "info",
    "GLIMPSE_API_KEYS": "",
    "GLIMPSE_DRAIN_SECONDS": "0",
}


@dataclass(frozen=True)
class Subject:
    """A service with all its workers ready."""

    service: Service

    @property
    def address(self) -> Address:
        """Where it answers."""
        return Address(self.service.url)

    @property
    def pid(self) -> int:
        """Of the process that keeps the workers."""
        return self.service.process.pid

    def workers(self) -> list[int]:
        """The processes that answer, or will."""
        return processes.children(self.pid)

    def descriptors(self) -> int:
        """How many are open in the workers."""
        return sum(map(processes.descriptors, self.workers()))

    def ready_workers(self) -> int:
        """How many say that they answer; 0 where nobody says anything."""
        with contextlib.suppress(ServerError):
            found = re.search(r"^glimpse_workers (\S+)$", self.address.get("/metrics").text, re.MULTILINE)
            return round(float(found[1])) if found else 0
        return 0

    def log(self) -> str:
        """What it has logged by now."""
        log = self.service.log
        return log.read_text(encoding="utf-8", errors="replace") if log else ""

    def faults(self) -> list[str]:
        """What no failure excuses, a sentence each: a stack trace, or a service that is gone."""
        status = self.service.process.poll()
        gone = [] if status is None else [f"the service ended with status {status}"]
        return gone + self.traces()

    def traces(self) -> list[str]:
        """A sentence if there are stack traces in the log."""
        log = self.log()
        count = log.count(_TRACE)
        return [f"{count} stack traces are in the log, the first of {_first_trace(log)}"] if count else []


@dataclass(frozen=True)
class Lab:
    """What experiments have at hand."""

    server_python: str = sys.executable
    say: Callable[[str], object] = lambda _: None  # takes a line on how it goes

    @contextlib.contextmanager
    def service(
        self, settings: Mapping[str, str] = MappingProxyType({}), wrap: Sequence[str] = ()
    ) -> Iterator[Subject]:
        """A service with these settings, started through the command `wrap`; stopped afterwards.

        Raises:
            ServerError: it did not start.
        """
        given = {**_SETTINGS, **settings}
        with own_service([*wrap, *self._command()], running_service, given) as service:
            subject = Subject(service)
            workers = int(given["GLIMPSE_WORKERS"])
            if not eventually(lambda: subject.ready_workers() == workers, START_SECONDS):
                raise ServerError(f"not all of {workers} workers were ready within {START_SECONDS} s")
            yield subject

    def run_to_its_end(self, settings: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
        """A service that is expected to give up at its start.

        Raises:
            ServerError: it goes on.
        """
        environment = {**os.environ, **_SETTINGS, "GLIMPSE_PORT": "0", **settings}
        try:
            return subprocess.run(
                self._command(),
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=START_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise ServerError(f"the service did not give up within {START_SECONDS} s") from error

    def _command(self) -> list[str]:
        return [self.server_python, "-m", "service"]


def eventually(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether it holds by then."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def _first_trace(log: str) -> str:
    """Its last line, which says what was raised."""
    trace = log.partition(_TRACE)[2].replace("\\n", "\n").splitlines()
    raised = (line for line in trace[1:] if line and not line.startswith((" ", "{")))
    return next(raised, "").partition('"')[0]
