import re
import subprocess
import sys
from pathlib import Path

from loadtest.record import read_record
from tests.loadtest.stub import StubServer, running
from tests.support import ROOT


def find(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    load = ("--scenario", "cifar", "--step", "1s", "--duration", "1s", "--precision", "0.4", *arguments)
    command = [sys.executable, "-m", "loadtest.capacity", "--url", url, *load]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)


def test_capacity_is_below_what_the_server_can_do_and_its_knee_is_drawn(tmp_path: Path) -> None:
    """One after the other in 20 ms each: never 50 a second, and queues long before."""
    with running(StubServer(work=0.02)) as url:
        done = find(url, "--rate", "12", "--slo", "p95=400ms", "--report", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    rate = re.search(r"PASSED: up to ([\d.]+)/s, p95 < 400 ms holds", done.stdout)
    assert rate is not None
    assert 12 <= float(rate[1]) < 90  # in a second, few more than it can do may still queue in time
    assert re.search(r"^at [\d.]+/s, ", done.stdout, re.MULTILINE)
    record = read_record(tmp_path)
    assert {step["holds"] for step in record["knee"]} == {True, False}
    assert "Latency against rate" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_service_that_never_holds_fails_and_says_why() -> None:
    with running(StubServer(work=0.1)) as url:
        done = find(url, "--rate", "2", "--slo", "p50=50ms")
    assert done.returncode == 1
    assert "FAILED: no rate holds p50 < 50 ms; at the lowest, p50 is" in done.stdout


def test_service_that_is_not_there_is_said_at_once() -> None:
    done = find("http://127.0.0.1:1")
    assert done.returncode == 2
    assert "no service is ready at http://127.0.0.1:1" in done.stderr
