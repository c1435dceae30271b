"""Settings in, a service of its own that answers at a URL out; it is stopped afterwards."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from service.health import Unhealthy, check

_START_SECONDS = 60
_STOP_SECONDS = 40
_PAUSE_SECONDS = 0.05


class StartError(Exception):
    """The service does not start; the message has what it said."""


@contextmanager
def started_service(environment: Mapping[str, str], folder: Path | None = None) -> Iterator[str]:
    """The URL of a service that this interpreter starts on a free port of 127.0.0.1, once it is ready.

    Args:
        environment: all of its variables but for its address.
        folder: where it is started; by default here.

    Raises:
        StartError: it ended, or was not ready in time.
    """
    host, port = "127.0.0.1", str(_free_port())
    given = {**environment, "GLIMPSE_HOST": host, "GLIMPSE_PORT": port}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen([sys.executable, "-m", "service"], cwd=folder, env=given, stderr=log)
        try:
            _wait_until_ready(process, given, log.fileno())
            yield f"http://{host}:{port}"
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", environment: Mapping[str, str], log: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            return check(environment)
        except Unhealthy:
            if process.poll() is not None:
                # From its beginning: the service wrote on where its own position is.
                said = os.pread(log, 1 << 20, 0).decode("utf-8", "replace").strip()
                raise StartError(f"the service did not start: {said}") from None
        time.sleep(_PAUSE_SECONDS)
    raise StartError(f"the service was not ready within {_START_SECONDS} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
