"""Settings in, a service of its own that answers at a URL out; it is stopped afterwards."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_START_SECONDS = 60
_STOP_SECONDS = 40


class StartError(Exception):
    """The service does not start; the message has what it said."""


@contextmanager
def started_service(environment: Mapping[str, str], folder: Path | None = None) -> Iterator[str]:
    """The URL of a service that this interpreter starts, once it listens.

    Args:
        environment: all of its variables; GLIMPSE_PORT=0 has it take a free port.
        folder: where it is started; by default here.

    Raises:
        StartError: it ended, or did not listen in time.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        command = [sys.executable, "-m", "service"]
        process = subprocess.Popen(command, cwd=folder, env=dict(environment), stderr=log)
        try:
            yield _wait_for_url(process, log.fileno())
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_url(process: "subprocess.Popen[bytes]", log: int) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        has_ended = process.poll() is not None
        # At a place of its own: the service writes on where its own position is.
        text = os.pread(log, 1 << 20, 0).decode("utf-8", "replace")
        if found := re.search(r"listening on (http://[^\s\"]+)", text):
            return found[1]
        if has_ended:
            raise StartError(f"the service did not start: {text.strip()}")
        time.sleep(0.05)
    raise StartError(f"the service was not ready within {_START_SECONDS} s")
