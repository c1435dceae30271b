import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from loadtest.capacity import Capacity, main
from loadtest.drive import Load
from loadtest.measure import Run
from loadtest.record import read_record
from loadtest.results import Generator, Measured, Result
from loadtest.slo import Objective, Slo
from loadtest.verdict import find_breaches
from tests.loadtest.promises import promises
from tests.loadtest.stub import StubServer, running
from tests.support import ROOT

Done = subprocess.CompletedProcess[str]
P95 = Objective((Slo("p95", 50),))


def find(url: str, *arguments: str) -> Done:
    load = ("--scenario", "cifar", "--step", "1s", "--duration", "1s", "--precision", "0.9", *arguments)
    command = [sys.executable, "-m", "loadtest.capacity", "--url", url, *load]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the report."""
    return tmp_path_factory.mktemp("capacity")


@pytest.fixture(scope="module")
def promised(kept: Path) -> Iterator[Callable[[str], Done]]:
    """What came of a search, by its name."""
    with promises({"found": partial(_find_some, kept), "none": _find_none}) as promise:
        yield promise


def _find_some(kept: Path) -> Done:
    """One after the other in 50 ms each: 20 a second, and few more that may queue within a second."""
    with running(StubServer(work=0.05)) as url:
        return find(url, "--rate", "20", "--slo", "p95=400ms", "--report", str(kept))


def _find_none() -> Done:
    with running(StubServer(work=0.1)) as url:
        return find(url, "--rate", "1", "--slo", "max=50ms")


def test_capacity_is_below_what_the_server_can_do_and_its_knee_is_drawn(
    promised: Callable[[str], Done], kept: Path
) -> None:
    done = promised("found")
    assert done.returncode == 0, done.stdout + done.stderr
    rate = re.search(r"PASSED: up to ([\d.]+)/s, p95 < 400 ms holds and nothing fails", done.stdout)
    assert rate is not None
    assert 8 < float(rate[1]) < 40
    assert re.search(r"^at [\d.]+/s, ", done.stdout, re.MULTILINE)
    assert {step["holds"] for step in read_record(kept)["knee"]} == {True, False}
    assert "Latency against rate" in (kept / "report.html").read_text(encoding="utf-8")


def test_service_that_never_holds_fails_and_says_why(
    promised: Callable[[str], Done],
) -> None:
    done = promised("none")
    assert done.returncode == 1
    assert "FAILED: no rate holds max < 50 ms; at the lowest, max is" in done.stdout


def test_service_that_is_not_there_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "http://127.0.0.1:1"]) == 2
    assert "http://127.0.0.1:1 does not answer" in capsys.readouterr().err


def run(rate: float, milliseconds: float, cpu: float = 0.1) -> Run:
    results = [Result("png", milliseconds, None)] * 100
    measured = Measured(results, [Generator(cpu, 100, 10, 1, [0.1] * 100)], seconds=10)
    return Run(Load(rate, 10), measured, find_breaches(measured, P95), [], None)


@pytest.mark.parametrize(
    ("above", "warns"),
    [
        (lambda: run(40, 60), []),
        (lambda: run(40, 60, cpu=0.97), ["WARNING: the service may hold more, for there the generator was"]),
        (lambda: run(40, 10, cpu=0.97), ["WARNING: the service may hold more"]),
    ],
)
def test_answer_that_is_the_generators_own_limit_says_so(above: Callable[[], Run], warns: list[str]) -> None:
    passed, why, *warnings = Capacity(run(30, 10), [run(60, 90), above()]).sum_up(P95)
    assert passed == "PASSED: up to 30.0/s, p95 < 50 ms holds and nothing fails"
    assert why.startswith("at 40.0/s, ")
    assert len(warnings) == len(warns)
    assert all(found.startswith(wanted) for found, wanted in zip(warnings, warns, strict=True))
