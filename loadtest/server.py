"""A command in, a running service out; it is stopped afterwards."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from loadtest.address import Address, ServerError

START_SECONDS = 90  # two are enough on a machine that does nothing else
STOP_SECONDS = 40
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class Service:
    """A process that answers at `url`, and the file that it logs into, if any."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path | None = None


@contextmanager
def running_service(
    command: Sequence[str], settings: Mapping[str, str] = MappingProxyType({}), log: Path | None = None
) -> Iterator[Service]:
    """Start `command` on a free port of 127.0.0.1, wait until it is ready, stop it at the end.

    Args:
        command: what starts the service; it takes its port from GLIMPSE_PORT.
        settings: further environment variables for it.
        log: file for what it writes to standard error, instead of our own.

    Raises:
        ServerError: the process ended, or was not ready in START_SECONDS.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "GLIMPSE_HOST": "127.0.0.1", "GLIMPSE_PORT": str(port), **settings}
    with log.open("wb") if log else nullcontext() as stderr:
        process = subprocess.Popen(command, env=environment, stderr=stderr)
    try:
        _wait_until_ready(process, url)
        yield Service(url, process, log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def check_ready(address: Address, seconds: float = 0) -> None:
    """Ask whether the service is ready, and wait for it up to `seconds`.

    Raises:
        ServerError: it is not.
    """
    deadline = time.monotonic() + seconds
    while (reason := _unready(address)) is not None:
        if time.monotonic() >= deadline:
            raise ServerError(reason)
        time.sleep(_PAUSE_SECONDS)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerError(f"the service ended with status {process.returncode} before it was ready")
        if _unready(Address(url), seconds=1) is None:
            return
        time.sleep(_PAUSE_SECONDS)
    raise ServerError(f"the service was not ready within {START_SECONDS} s")


def _unready(address: Address, seconds: float = 5) -> str | None:
    """Why it is not ready; None where it is."""
    try:
        answer = address.get("/health/ready", seconds)
    except ServerError as error:
        return str(error)
    return None if answer.status == 200 else f"{address.url}/health/ready answers with status {answer.status}"
