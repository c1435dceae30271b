"""A process of an image in; it runs in namespaces of its own, as in a container without an engine."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO

from ops.image.inside import Process

_REPOSITORY = Path(__file__).resolve().parents[2]
_NEW = ("--mount", "--propagation=private", "--pid", "--ipc", "--uts", "--net", "--fork", "--kill-child")
_START_SECONDS = 20


class Unavailable(Exception):
    """This machine can't do it; the message says what it lacks, and what to do."""


def check_available() -> None:
    """Return if namespaces can be made here.

    Raises:
        Unavailable: they can't.
    """
    if os.geteuid() != 0:
        raise Unavailable("namespaces and roots are made by root only: run it with sudo")
    for program in ("unshare", "nsenter", "mount"):
        if shutil.which(program) is None:
            raise Unavailable(f"there is no {program} (Debian's util-linux)")
    tried = subprocess.run(["unshare", *_NEW, "true"], capture_output=True, text=True, check=False)  # noqa: S607
    if tried.returncode != 0:
        raise Unavailable(f"this machine makes no namespaces: {tried.stderr.strip()}")


def run(process: Process) -> "subprocess.CompletedProcess[str]":
    """Run it to its end; its two outputs come together."""
    return subprocess.run(
        _words(process),
        cwd=_REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


class Container:
    """A process that runs as the first one of its namespaces."""

    def __init__(self, parent: "subprocess.Popen[bytes]", process: Process) -> None:
        self._parent = parent
        self._process = process
        self.pid = _first_child(parent)

    def execute(self, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """Run another command in it, as `docker exec` would."""
        places = ("--mount", "--pid", "--ipc", "--uts", "--net", "--root", "--wd")
        owner = (f"--setuid={self._process.user}", f"--setgid={self._process.group}")
        return self._enter((*places, *owner), command, self._process.environment)

    def ask(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run our own program, in its network alone: a client beside it."""
        return self._enter(("--net",), [sys.executable, *words], dict(os.environ))

    def facts(self) -> dict[str, str]:
        """What the kernel says about its first process: Uid, CapEff, NoNewPrivs and the like."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}

    def is_running(self) -> bool:
        """Whether its first process is still there."""
        return self._parent.poll() is None

    def stop(self, seconds: float) -> int | None:
        """Send SIGTERM to the first process; its exit status, or None where it goes on running."""
        os.kill(self.pid, signal.SIGTERM)
        try:
            return self._parent.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def _enter(
        self, places: Sequence[str], command: Sequence[str], environment: dict[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        nsenter = shutil.which("nsenter") or "nsenter"
        words = [nsenter, f"--target={self.pid}", *places, *command]
        return subprocess.run(
            words, cwd=_REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=60
        )


@contextlib.contextmanager
def running(process: Process, output: IO[bytes]) -> Iterator[Container]:
    """Start it, and kill what is left of it at the end.

    Raises:
        Unavailable: it did not come as far as to be the command.
    """
    with subprocess.Popen(
        _words(process), cwd=_REPOSITORY, stdout=output, stderr=subprocess.STDOUT
    ) as parent:
        container = None
        try:
            container = Container(parent, process)
            yield container
        finally:
            if parent.poll() is None:
                # With the first process of a namespace all others of it end.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(container.pid if container else parent.pid, signal.SIGKILL)


def _words(process: Process) -> list[str]:
    unshare = shutil.which("unshare") or "unshare"
    return [unshare, *_NEW, "--", sys.executable, "-m", "ops.image.inside", json.dumps(asdict(process))]


def _first_child(parent: "subprocess.Popen[bytes]") -> int:
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and parent.poll() is None:
        if found := children.read_text(encoding="utf-8").split():
            return int(found[0])
        time.sleep(0.01)
    raise Unavailable(f"unshare ended with status {parent.poll()} before it started anything")
