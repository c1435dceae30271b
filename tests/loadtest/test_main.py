"""The real load test, against the real service and against a made one that misbehaves."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from loadtest.__main__ import main
from loadtest.record import read_record
from loadtest.server import running_service
from tests.loadtest.promises import promises
from tests.loadtest.stub import StubServer, running
from tests.support import ROOT, service_command

Done = subprocess.CompletedProcess[str]
Promise = Callable[[str], Done]

# On a machine that does other work as well, and for runs of a second, which have too few requests for p95.
WIDE = ("--slo", "max=10s")
SCENARIOS = {
    "cifar": ("30", "png 32x32"),
    "web": ("30", "jpeg 640x480"),
    "phone": ("3", "jpeg 4000x3000"),
    "batch": ("6", "batch of 16"),
    "mixed": ("20", "jpeg 640x480"),
    "hostile": ("60", "bad file"),
    "burst": ("3", "png 32x32"),
}
MISBEHAVIOUR: dict[str, tuple[dict[str, int], int, str]] = {
    "confused": ({"confused_after": 20}, 1, "' as before the run"),
    "ignorant": ({"confused_after": 0}, 2, "is right about 1 of our 10 pictures"),
    "dead": ({"dead_after": 20}, 1, r"FAILED: \d+ of 30 requests failed, the first with: no answer: "),
    "busy": ({"of": 15}, 1, "requests were refused, 6.67%, and none may be; the first with: status 503"),
}


def load_test(*arguments: str, settings: Mapping[str, str] | None = None) -> Done:
    command = [sys.executable, "-m", "loadtest", *arguments]
    environment = {**os.environ, **(settings or {})}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the report of the twenty seconds."""
    return tmp_path_factory.mktemp("verdict")


@pytest.fixture(scope="module")
def promised(patient: str, artifacts: Path, kept: Path) -> Iterator[Promise]:
    """What came of a run, by its name."""
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_MAX_WAIT_MS": "5000"}
    work = {"verdict": partial(_verdict, kept, settings), "frozen": partial(_frozen, settings)}
    for name, (rate, _) in SCENARIOS.items():
        load = ("--scenario", name, "--rate", rate, "--duration", "1s", "--model", "cnn")
        work[name] = partial(load_test, "--url", patient, *WIDE, *load)
    work["broken"] = partial(_break_bounds, patient)
    work |= {name: partial(_misbehave, stub) for name, (stub, _, _) in MISBEHAVIOUR.items()}
    work["budget"] = partial(_misbehave, {"of": 15}, "--slo", "refused=7%")
    with promises(work) as promise:
        yield promise


def _break_bounds(url: str) -> Done:
    bounds = ("--slo", "max=100s", "--slo", "p50=0.01ms")
    load = ("--scenario", "cifar", "--rate", "30", "--duration", "1s", "--repeats", "2")
    return load_test("--url", url, *bounds, *load)


def _misbehave(stub: Mapping[str, int], *bounds: str) -> Done:
    with running(StubServer(**stub)) as url:
        load = ("--scenario", "cifar", "--rate", "30", "--duration", "1s")
        return load_test("--url", url, *WIDE, *bounds, *load)


def _verdict(kept: Path, settings: Mapping[str, str]) -> Done:
    load = ("--slo", "p95=2s", "--rate", "20", "--duration", "20s", "--scenario", "light")
    return load_test(*load, "--report", str(kept), settings=settings)


def _frozen(settings: Mapping[str, str]) -> Done:
    one = {**settings, "GLIMPSE_WORKERS": "1"}
    with running_service(service_command(), one) as service, freezing(service.process.pid):
        load = ("--scenario", "cifar", "--rate", "30", "--duration", "10s", "--slo", "p99=300ms")
        return load_test("--url", service.url, *load)


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


def percentiles(done: Done) -> list[float]:
    """p50, p95, p99 and the maximum of all requests."""
    row = next(line for line in done.stdout.splitlines() if line.startswith("all"))
    return [float(value) for value in row.split()[2:]]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_is_answered_as_it_has_to_be(promised: Promise, scenario: str) -> None:
    done = promised(scenario)
    assert done.returncode == 0, done.stdout + done.stderr
    assert any(line.startswith(SCENARIOS[scenario][1]) for line in done.stdout.splitlines())


def test_freezes_are_charged_to_the_service_though_its_own_histogram_does_not_know_them(
    promised: Promise,
) -> None:
    """A stopped process can't time anything, and a closed loop would send it little meanwhile."""
    done = promised("frozen")
    assert done.returncode == 1, done.stdout + done.stderr
    p50, _, p99, largest = percentiles(done)
    assert p50 < 300
    assert 500 < p99 <= largest
    assert "FAILED: p99 is" in done.stdout
    assert re.search(r"WARNING: they are [\d.]+ ms apart, more than the bucket's", done.stdout)


def test_healthy_service_passes_for_twenty_seconds(promised: Promise, kept: Path) -> None:
    done = promised("verdict")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED: p95 < 2000 ms at 20.0/s, and nothing failed" in done.stdout
    assert "400 requests, 20.0/s, were due" in done.stdout
    assert "the server's own p95 is between" in done.stdout
    assert "WARNING: the server counted" not in done.stdout
    facts = read_record(kept)["facts"]
    usable = len(os.sched_getaffinity(0))
    assert facts["CPUs of the service"] == f"{usable}, by {min(usable, 8)} workers"
    assert facts["settings"] == "GLIMPSE_MAX_WAIT_MS=5000"


def test_every_bound_that_breaks_is_told_with_by_how_much(promised: Promise) -> None:
    done = promised("broken")
    assert done.returncode == 1
    assert re.search(r"FAILED: p50 is .* over the limit of 0.01 ms \(run 1 of 2\)", done.stdout)
    assert re.search(r"FAILED: p50 is .* over the limit of 0.01 ms \(run 2 of 2\)", done.stdout)
    assert "FAILED: max" not in done.stdout


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_service_that_misbehaves_fails(promised: Promise, name: str) -> None:
    done = promised(name)
    _, status, says = MISBEHAVIOUR[name]
    assert done.returncode == status, done.stdout + done.stderr
    assert re.search(says, done.stdout + done.stderr)
    assert "Traceback" not in done.stderr


def test_refusals_within_their_budget_pass(promised: Promise) -> None:
    done = promised("budget")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "refused (503), and so in no percentile: 2 of 30 requests, 6.67%" in done.stdout
    assert re.search(r"^all +28 ", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--rate -5", "'-5' is not allowed: give a number above 0"),
        ("--rate nan", "'nan' is not allowed: give a number above 0"),
        ("--duration 1h", "'1h' is not allowed: give a duration such as 60s or 2m"),
        ("--slo p95=50", "'p95=50' is not allowed: give MEASURE=TIME such as p95=50ms"),
        ("--scenario none", "invalid choice: 'none'"),
        ("--repeats 0", "'0' is not allowed: give a whole number from 1 on"),
        ("--rate 5 --duration 2s", "--rate 5 for 2 s are 10 requests, too few for p95, which takes 20"),
        ("--rate 50 --duration 1s --slo p99=1s", "50 requests, too few for p99, which takes 100"),
        ("--rate 1e6 --duration 60s", "60000000 requests, more than the 5000000 that can be kept"),
        ("--key sécret", "has characters that no key has; copy it again"),
        ("--master-port 70000", "'70000' is not allowed: give a port of 1 to 65535"),
        ("--dur 5s", "unrecognized arguments: --dur 5s"),
        ("--processes 2 --remote-workers 2", "not allowed with argument --processes"),
        ("--compare a b --rate 5", "--rate 5: --compare measures nothing; only --report goes with it"),
        ("--compare a", "expected 2 arguments"),
    ],
)
def test_wrong_options_are_refused_at_once(
    arguments: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert says in said
    assert "sécret" not in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--url http://127.0.0.1:1", "http://127.0.0.1:1 does not answer: "),
        ("--url localhost:8000", "must start with http://"),
        ("--url http://127.0.0.1:1 --apart", "runs already; leave out --url or --apart"),
        ("--server-python nowhere/python", "nowhere/python"),
        ("--report pyproject.toml", "--report 'pyproject.toml': File exists: give a folder"),
        ("--bench pyproject.toml", "--bench 'pyproject.toml': no result of 'make bench' is there"),
    ],
)
def test_what_can_not_be_used_is_a_sentence(
    arguments: str, says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(arguments.split()) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.splitlines()) == 1


def test_unknown_model_is_found_out_before_the_run(patient: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", patient, "--scenario", "cifar", "--model", "none"]) == 2
    assert "model 'none' is not loaded" in capsys.readouterr().err
