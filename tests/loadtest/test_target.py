"""A load test that starts its own service."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.record import read_record
from tests.support import ROOT


def load_test(settings: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    load = ("--rate", "20", "--duration", "1s", "--scenario", "cifar", "--slo", "p95=2s")
    command = [sys.executable, "-m", "loadtest", *load, *arguments]
    environment = {**os.environ, **settings}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_service_is_started_and_its_cpus_are_known(artifacts: Path, tmp_path: Path) -> None:
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_MAX_WAIT_MS": "5000"}
    done = load_test(settings, "--report", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    facts = read_record(tmp_path)["facts"]
    usable = len(os.sched_getaffinity(0))
    assert facts["CPUs of the service"] == f"{usable}, by {min(usable, 8)} workers"


def test_service_and_generator_get_cpus_of_their_own(artifacts: Path, tmp_path: Path) -> None:
    usable = len(os.sched_getaffinity(0))
    if usable < 2:
        pytest.skip("needs two usable CPUs")
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_MAX_WAIT_MS": "5000"}
    done = load_test(settings, "--apart", "--report", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    facts = read_record(tmp_path)["facts"]
    assert facts["CPUs of the service"].startswith(f"{usable - 1}, ")
    assert facts["CPUs of the generator"] == "1, by one process"


def test_service_that_does_not_start_says_why() -> None:
    done = load_test({"GLIMPSE_WORKERS": "0"})
    assert done.returncode == 2
    assert "the last of its log: GLIMPSE_WORKERS=0" in done.stderr


def test_running_service_can_not_be_moved_apart() -> None:
    done = load_test({}, "--url", "http://127.0.0.1:1", "--apart")
    assert done.returncode == 2
    assert "runs already; leave out --url or --apart" in done.stderr
