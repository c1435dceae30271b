"""A command in, a running service out; it is stopped afterwards."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

START_SECONDS = 90  # two are enough on a machine that does nothing else
STOP_SECONDS = 40


class ServerError(Exception):
    """The service did not start, or is not there."""


@dataclass(frozen=True)
class Service:
    """A process that answers at `url`."""

    url: str
    process: "subprocess.Popen[bytes]"


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
        yield Service(url, process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def check_service(url: str) -> None:
    """Ask once, so that a wrong URL is not found out by a whole run of failures.

    Raises:
        ServerError: nothing answers there.
    """
    if not url.startswith(("http://", "https://")):
        raise ServerError(f"--url {url}: must start with http:// or https://")
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=5):  # noqa: S310 - checked above
            return
    except OSError as error:
        raise ServerError(f"--url {url}: no service is ready there: {error}") from error


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
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=1):  # noqa: S310 - our own http URL
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise ServerError(f"the service was not ready within {START_SECONDS} s")
