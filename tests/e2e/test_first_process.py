"""The service as a container's first process, which gets no signal by default and inherits every orphan."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadtest.server import free_port
from service.health import Unhealthy, check
from tests.support import ROOT, eventually, service_command

_UNSHARE = ["unshare", "--pid", "--fork", "--kill-child"]
_PATIENCE = 60
# The signal comes just as the command is looked for.
_STOPPED_EARLY = """
import os, signal, sys
from service.__main__ import main

class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == "service.command":
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Stop())
sys.exit(main())
"""


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state(pid: int) -> str:
    """One letter, as ps shows it; empty once the process is no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


@contextmanager
def first_process(environment: dict[str, str]) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """`unshare`, whose status becomes that of the first process of its namespace, and that one's id here."""
    command = [*_UNSHARE, *service_command()]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}) as outer:
        try:
            assert eventually(lambda: bool(children(outer.pid)), _PATIENCE)
            yield outer, children(outer.pid)[0]
        finally:
            outer.kill()  # and what it has started with it


def is_ready(environment: dict[str, str]) -> bool:
    try:
        check(environment)
    except Unhealthy:
        return False
    return True


@pytest.fixture
def environment(artifacts: Path) -> dict[str, str]:
    if os.geteuid() or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare, to give the service a process namespace of its own")
    settings = {"ARTIFACTS": str(artifacts), "PORT": str(free_port()), "WORKERS": "1", "DRAIN_SECONDS": "0"}
    return {f"GLIMPSE_{name}": value for name, value in settings.items()}


def test_orphans_are_reaped_and_sigterm_ends_it_with_status_0(environment: dict[str, str]) -> None:
    with first_process(environment) as (outer, pid):
        assert eventually(lambda: is_ready(environment), _PATIENCE)
        (worker,) = children(pid)
        family = [worker, *children(worker)]
        assert len(family) == 3
        os.kill(worker, signal.SIGKILL)
        # Its decoders end with it; a first process that reaps only its own leaves them zombies.
        assert eventually(lambda: not any(map(state, family)), _PATIENCE)
        assert eventually(lambda: is_ready(environment), _PATIENCE)
        os.kill(pid, signal.SIGTERM)
        assert outer.wait(_PATIENCE) == 0


def test_sigterm_while_it_is_still_being_imported_is_kept(artifacts: Path) -> None:
    environment = {**os.environ, "GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_PORT": "0"}
    command = [sys.executable, "-c", _STOPPED_EARLY]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, check=False, timeout=_PATIENCE
    )
    assert done.returncode == 0
    assert b"listening" not in done.stderr
