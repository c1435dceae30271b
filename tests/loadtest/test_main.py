"""The real load test, against the real service and against a made one that freezes."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadtest.server import running_service
from tests.loadtest.stub import StubServer, running
from tests.support import ROOT, service_command

WIDE = ("--slo", "p95=2s")  # on a machine that does other work as well


def load_test(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "loadtest", "--url", url, "--rate", "30", "--duration", "2s", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def percentiles(done: "subprocess.CompletedProcess[str]") -> list[float]:
    """p50, p95, p99 and the maximum of all requests."""
    row = next(line for line in done.stdout.splitlines() if line.startswith("all"))
    return [float(value) for value in row.split()[2:]]


def test_healthy_service_passes_for_twenty_seconds(patient: str) -> None:
    done = load_test(patient, *WIDE, "--rate", "20", "--duration", "20s", "--scenario", "light")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED: p95 < 2000 ms at 20.0/s, and nothing failed" in done.stdout
    assert "400 requests, 20.0/s, were due" in done.stdout
    assert "the server's own p95 is between" in done.stdout


@pytest.mark.parametrize(
    ("scenario", "rate", "kind"),
    [
        ("cifar", "30", "png 32x32"),
        ("web", "30", "jpeg 640x480"),
        ("phone", "2", "jpeg 4000x3000"),
        ("batch", "5", "batch of 16"),
        ("mixed", "10", "jpeg 640x480"),
        ("hostile", "30", "bad file"),
        ("burst", "3", "png 32x32"),
    ],
)
def test_every_scenario_is_answered_as_it_has_to_be(
    patient: str, scenario: str, rate: str, kind: str
) -> None:
    wide = ("--slo", "max=5s")  # too few requests for p95
    done = load_test(patient, *wide, "--scenario", scenario, "--rate", rate, "--model", "cnn")
    assert done.returncode == 0, done.stdout + done.stderr
    assert any(line.startswith(kind) for line in done.stdout.splitlines())


def test_unreachable_limit_fails_and_says_by_how_much(patient: str) -> None:
    done = load_test(patient, "--slo", "max=10s", "--slo", "p50=0.01ms", "--scenario", "cifar")
    assert done.returncode == 1
    assert "FAILED: p50 is" in done.stdout
    assert "over the limit of 0.01 ms" in done.stdout
    assert "FAILED: max" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--rate", "-5"), "'-5' is not allowed: give a number above 0"),
        (("--duration", "1h"), "'1h' is not allowed: give a duration such as 60s or 2m"),
        (("--slo", "p95=50"), "'p95=50' is not allowed: give MEASURE=TIME such as p95=50ms"),
        (("--scenario", "none"), "invalid choice: 'none'"),
        (("--slo", "p99=1s", "--duration", "2s"), "60 requests, too few for p99, which takes 100"),
        (("--rate", "1e6"), "1000000000 requests, more than the 5000000 that can be kept"),
        (("--repeats", "0"), "'0' is not allowed: give a whole number from 1 on"),
        (("--url", "http://127.0.0.1:1"), "no service is ready at http://127.0.0.1:1: "),
        (("--url", "localhost:8000"), "must start with http://"),
    ],
)
def test_wrong_input_is_refused_at_once(arguments: tuple[str, ...], says: str) -> None:
    done = load_test("http://127.0.0.1:1", "--duration", "1000s", *arguments)
    assert done.returncode == 2
    assert says in done.stderr


def test_unknown_model_is_found_out_before_the_run(patient: str) -> None:
    done = load_test(patient, "--model", "none")
    assert done.returncode == 2
    assert "model 'none' is not loaded" in done.stderr


def test_freezes_are_charged_to_the_service_though_its_own_histogram_does_not_know_them(
    artifacts: Path,
) -> None:
    """A stopped process can't time anything, and a closed loop would send it little meanwhile."""
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_MAX_WAIT_MS": "5000", "GLIMPSE_WORKERS": "1"}
    with running_service(service_command(), settings) as service, freezing(service.process.pid):
        done = load_test(service.url, "--scenario", "cifar", "--duration", "10s", "--slo", "p99=300ms")
    assert done.returncode == 1
    p50, _, p99, largest = percentiles(done)
    assert p50 < 300
    assert 500 < p99 <= largest
    assert "FAILED: p99 is" in done.stdout
    assert re.search(r"WARNING: they are [\d.]+ ms apart, more than the bucket's", done.stdout)


@contextmanager
def freezing(supervisor: int) -> Iterator[None]:
    """Stop the service's workers for one second of each ten."""
    workers = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text(encoding="utf-8").split()
    done = threading.Event()

    def freeze() -> None:
        while not done.wait(9):
            for worker in workers:
                os.kill(int(worker), signal.SIGSTOP)
            done.wait(1)
            for worker in workers:
                os.kill(int(worker), signal.SIGCONT)

    thread = threading.Thread(target=freeze)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_class_that_changes_under_load_fails() -> None:
    with running(StubServer(confused_after=60)) as url:
        done = load_test(url, *WIDE, "--scenario", "cifar")
    assert done.returncode == 1
    assert "' as before the run" in done.stdout


def test_model_that_knows_nothing_is_refused() -> None:
    with running(StubServer(confused_after=0)) as url:
        done = load_test(url, "--scenario", "cifar")
    assert done.returncode == 2
    assert "is right about 1 of our 10 pictures" in done.stderr


def test_refusals_within_their_budget_pass() -> None:
    with running(StubServer(of=15)) as url:
        load = ("--scenario", "cifar", "--rate", "30", "--duration", "1s")
        done = load_test(url, *WIDE, "--slo", "refused=7%", *load)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 requests, 6.67%, were refused (503); they are in no percentile" in done.stdout
    assert re.search(r"^all +28 ", done.stdout, re.MULTILINE)


def test_repeats_each_have_to_hold(patient: str) -> None:
    done = load_test(
        patient, "--scenario", "cifar", "--duration", "1s", "--slo", "max=0.01ms", "--repeats", "2"
    )
    assert done.returncode == 1
    assert "(run 1 of 2)" in done.stdout
    assert "(run 2 of 2)" in done.stdout
