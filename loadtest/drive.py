"""An address and a load in, every request's time and outcome out; locust sends, in processes of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from loadtest.address import KEY_VARIABLE, Address
from loadtest.payloads import build_payloads
from loadtest.rehearsal import rehearse
from loadtest.results import Measured, merge
from loadtest.scenarios import SCENARIOS
from loadtest.server import free_port

LOCUSTFILE = Path(__file__).parent / "locustfile.py"
_LEAD = "/loadtest.lead: "  # in each line that it logs; importing it would patch this process for gevent
_START_SECONDS = 60  # for our own workers; others may take as long as their owners do
_STOP_SECONDS = 10
_QUIETLY = ["--headless", "--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0"]


class LocustError(Exception):
    """Locust could not run."""


@dataclass(frozen=True)
class Load:
    """What is sent: `rate` requests per second for `duration` seconds.

    With `processes` above 1, a master and that many workers send from here; with `remote_workers`, a master
    waits here for that many from elsewhere.
    """

    rate: float
    duration: float
    scenario: str = "mixed"
    model: str = ""  # the service's default where empty
    seed: int = 0
    processes: int = 1
    remote_workers: int = 0
    master_port: int = 5557  # where that master listens

    @property
    def generators(self) -> int:
        """How many processes send."""
        return self.remote_workers or self.processes


def learn_classes(address: Address, load: Load) -> dict[str, list[str]]:
    """What the service says of each picture before the run, by the payload's key.

    Raises:
        ServerError: an answer is not as it has to be.
    """
    payloads = build_payloads(SCENARIOS[load.scenario].weights)
    return rehearse(address, [one for kind in payloads.values() for one in kind], load.model)


def drive(address: Address, load: Load, classes: Mapping[str, Sequence[str]] | None = None) -> Measured:
    """Send the load, at times drawn ahead.

    Args:
        address: of the service.
        load: what to send.
        classes: what `learn_classes` found, where it is known already.

    Raises:
        LocustError: locust could not run.
        ServerError: the service's answers were not as they have to be even before the load.
    """
    learnt = learn_classes(address, load) if classes is None else classes
    if load.remote_workers:
        _check_port(load.master_port)
    with tempfile.TemporaryDirectory() as folder:
        expected, results = Path(folder) / "expected.json", Path(folder) / "results.json"
        expected.write_text(json.dumps(learnt), encoding="utf-8")
        status, said = _locust(_arguments(address.url, load, expected, results), address.key)
        if not results.exists():
            raise LocustError(f"locust ended with status {status}: {_reason(said)}")
        return merge(json.loads(results.read_bytes()), load.duration)


def _locust(arguments: Sequence[str], key: str) -> tuple[int, str]:
    """Run it; its exit status, and what it logged. What ends us, ends it with its workers."""
    command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), *arguments]
    own = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    # A key among the arguments could be read by everyone on this machine.
    environment = {**own, KEY_VARIABLE: key}
    # Locust would take what is typed at our terminal for orders of its own.
    no = subprocess.DEVNULL
    with subprocess.Popen(
        command, env=environment, stdin=no, stdout=no, stderr=subprocess.PIPE, text=True, process_group=0
    ) as process:
        try:
            _, said = process.communicate()
        except BaseException:
            _stop_group(process)
            raise
    return process.returncode, said


def _stop_group(process: "subprocess.Popen[str]") -> None:
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise LocustError(f"--master-port {port}: {error.strerror}: give another") from error


def _reason(log: str) -> str:
    """What our own part in locust said last; else the log's last line."""
    lines = log.strip().splitlines() or [""]
    ours = [line.partition(_LEAD)[2] for line in lines if _LEAD in line]
    return (ours or lines)[-1]


def _arguments(url: str, load: Load, expected: Path, results: Path) -> list[str]:
    arguments = ["--host", url, *_QUIETLY]
    arguments += ["--rate", str(load.rate), "--duration", str(load.duration), "--scenario", load.scenario]
    arguments += ["--seed", str(load.seed), "--expected", str(expected), "--results", str(results)]
    arguments += ["--users", str(load.generators), "--spawn-rate", str(load.generators)]
    if load.model:
        arguments += ["--model", load.model]
    if load.remote_workers:
        arguments += ["--master", "--expect-workers", str(load.remote_workers)]
        arguments += ["--master-bind-port", str(load.master_port)]
    elif load.processes > 1:
        port = str(free_port())
        arguments += ["--processes", str(load.processes), "--master-bind-host", "127.0.0.1"]
        arguments += ["--master-bind-port", port, "--master-port", port]
        arguments += ["--expect-workers-max-wait", str(_START_SECONDS)]
    return arguments
