"""Load tests that start their own service, and those of a service with a key."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from loadtest.__main__ import main
from loadtest.record import read_record
from loadtest.server import running_service
from tests.loadtest.promises import promises
from tests.support import ROOT, eventually, service_command

KEY = "a-secret-of-this-test"
LOAD = ("--rate", "20", "--duration", "1s", "--scenario", "cifar", "--slo", "p95=5s")


def started(settings: dict[str, str], *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "loadtest", *LOAD, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, text=True, **pipes)


def load_test(settings: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    """The exit status, and what was said on both streams."""
    with started(settings, *arguments) as process:
        out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module", autouse=True)
def promised(
    artifacts: Path, guarded: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Any]]:
    """What came of a run, by its name."""
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_MAX_WAIT_MS": "5000"}
    folder = tmp_path_factory.mktemp("reports")
    work: dict[str, Callable[[], object]] = {
        "apart": partial(load_test, settings, "--apart", "--report", str(folder / "apart")),
        "guarded": partial(_use_key, guarded, folder / "guarded"),
        "stopped": partial(_stop, settings),
    }
    with promises(work) as promise:
        yield lambda name: (promise(name), folder / name)


def test_service_and_generator_get_cpus_of_their_own(promised: Callable[[str], Any]) -> None:
    usable = len(os.sched_getaffinity(0))
    if usable < 2:
        pytest.skip("needs two usable CPUs")
    (status, out, err), kept = promised("apart")
    assert status == 0, out + err
    facts = read_record(kept)["facts"]
    assert facts["CPUs of the service"].startswith(f"{usable - 1}, ")
    assert facts["CPUs of the generator"] == "1, by one process"


def test_service_that_does_not_start_says_why() -> None:
    status, _, err = load_test({"GLIMPSE_WORKERS": "0"})
    assert status == 2
    assert "the last of its log: GLIMPSE_WORKERS=0" in err


@pytest.fixture(scope="module")
def guarded(artifacts: Path) -> Iterator[str]:
    settings = {"GLIMPSE_API_KEYS": f"other,{KEY}", "GLIMPSE_WORKERS": "1", "GLIMPSE_MAX_WAIT_MS": "5000"}
    with running_service(service_command(), {"GLIMPSE_ARTIFACTS": str(artifacts), **settings}) as service:
        yield service.url


def test_key_opens_a_service_and_is_shown_nowhere(promised: Callable[[str], Any]) -> None:
    (status, said, seen), kept = promised("guarded")
    assert status == 0, said
    assert "the server's own p95 is between" in said  # /metrics asks for the key too
    assert sum(b"--expected" in line for line in seen) > 0
    files = [file.read_bytes() for file in kept.iterdir()]
    assert len(files) == 2
    assert not [one for one in [*seen, *files, said.encode()] if KEY.encode() in one]


def _use_key(url: str, kept: Path) -> tuple[int, str, set[bytes]]:
    """The exit status, what was said, and every command line meanwhile."""
    seen: set[bytes] = set()
    arguments = ("--url", url, "--processes", "2", "--report", str(kept))
    with started({"GLIMPSE_KEY": KEY}, *arguments) as process:
        while process.poll() is None:
            seen |= {command_line(pid) for pid in [process.pid, *descendants(process.pid)]}
            time.sleep(0.05)
        return process.returncode, "".join(process.communicate()), seen


@pytest.mark.parametrize(
    ("key", "says"),
    [((), "asks for a key: "), (("--key", "wrong"), "takes another key than the one given: ")],
)
def test_missing_or_wrong_key_is_found_out_before_the_run(
    guarded: str, key: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--url", guarded, "--scenario", "cifar", *key]) == 2
    said = capsys.readouterr().err
    assert f"{says}give one that it knows by GLIMPSE_KEY or --key" in said


def test_what_was_started_ends_with_the_command(promised: Callable[[str], Any]) -> None:
    """The service, locust and its workers."""
    (status, err, family), _ = promised("stopped")
    assert status == 143
    assert "Traceback" not in err
    assert len(family) >= 5
    assert eventually(lambda: not any(is_running(pid) for pid in family), seconds=30)


def _stop(settings: dict[str, str]) -> tuple[int, str, list[int]]:
    """The exit status, what was said, and every process that there was before."""
    with started(settings, "--duration", "300s", "--processes", "2") as process:
        assert eventually(lambda: sends(process.pid), seconds=120)
        family = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
    return process.returncode, err, family


def sends(pid: int) -> bool:
    """Whether locust and both its workers are there."""
    return sum(b"--expected" in command_line(one) for one in descendants(pid)) == 3


def descendants(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:  # it has ended
        return []
    children = [int(one) for one in text.split()]
    return [*children, *(one for child in children for one in descendants(child))]


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
