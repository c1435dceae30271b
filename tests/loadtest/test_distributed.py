"""Several processes send: one schedule shared, every single time merged. And the file in locust's web UI."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from loadtest.address import Address
from loadtest.drive import LOCUSTFILE, Load, LocustError, drive
from loadtest.results import Measured, merge
from loadtest.server import free_port
from tests.loadtest.promises import promises
from tests.loadtest.stub import StubServer, running
from tests.support import ROOT, eventually

LOAD = Load(60, 1, "light")
LOCUST = (sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE))


@contextlib.contextmanager
def locust(arguments: Sequence[str]) -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen([*LOCUST, *arguments], cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.terminate()


@pytest.fixture(scope="module", autouse=True)
def promised(patient: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], object]]:
    """What came of what takes long."""
    results = tmp_path_factory.mktemp("muted") / "results.json"
    work: dict[str, Callable[[], object]] = {
        "lost": partial(_lose_a_worker, patient),
        "elsewhere": partial(_drive_from_elsewhere, patient),
        "muted": partial(_drive_a_mute_service, results),
    }
    with promises(work) as promise:
        yield promise


@pytest.fixture(scope="module")
def shared(patient: str) -> Measured:
    """What two workers measured."""
    return drive(Address(patient), replace(LOAD, processes=2))


def test_two_workers_share_one_schedule_and_every_time_comes_back(shared: Measured) -> None:
    assert len(shared.generators) == 2
    assert sorted(one.offered for one in shared.generators) == pytest.approx([30, 30], rel=0.4)
    assert shared.offered == len(shared.results) == 60
    assert len({result.due for result in shared.results}) == 60
    assert [result.error for result in shared.results if result.error] == []
    assert any(result.milliseconds % 1 for result in shared.results)


def test_one_process_sends_the_same_schedule(shared: Measured, patient: str) -> None:
    alone = drive(Address(patient), LOAD)
    assert [(one.due, one.name) for one in alone.results] == [(one.due, one.name) for one in shared.results]


def test_master_waits_for_workers_from_elsewhere(promised: Callable[[str], Any]) -> None:
    measured, statuses = promised("elsewhere")
    assert measured.offered == len(measured.results) == 20
    assert len(measured.generators) == 2
    assert statuses == [0, 0]


def _drive_from_elsewhere(url: str) -> tuple[Measured, list[int]]:
    port = free_port()
    worker = ("--worker", "--master-host", "127.0.0.1", "--master-port", str(port))
    load = Load(20, 1, "cifar", remote_workers=2, master_port=port)
    with locust(worker) as first, locust(worker) as second:
        measured = drive(Address(url), load)
        return measured, [first.wait(60), second.wait(60)]


def test_port_of_the_master_that_is_taken_is_a_sentence(patient: str) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocustError, match=f"--master-port {port}: Address already in use: give another"):
            drive(Address(patient), Load(20, 1, "cifar", remote_workers=1, master_port=port), {})


def test_locustfile_opens_in_locusts_web_ui_and_runs_from_there(patient: str) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    web = ("--host", patient, "--web-host", "127.0.0.1", "--web-port", str(port), "--scenario", "cifar")
    with locust([*web, "--rate", "20", "--duration", "1"]):
        assert eventually(lambda: answers(url), seconds=60)
        assert "<title>Locust</title>" in fetch(url)
        form = b"user_count=1&spawn_rate=1"
        assert json.loads(fetch(f"{url}/swarm", form))["success"]
        assert eventually(lambda: total(url)["num_requests"] == 20, seconds=60)
        assert total(url)["num_failures"] == 0


def test_lost_worker_ends_the_run(promised: Callable[[str], Any]) -> None:
    """Locust would have the other one do the lost one's part afterwards, and call it a result."""
    status, said = promised("lost")
    assert status == 1
    assert "a worker of 2 was lost" in said


def _lose_a_worker(url: str) -> tuple[int, str]:
    port = str(free_port())
    ports = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port)
    load = ("--host", url, "--scenario", "cifar", "--duration", "300")
    two = ("--processes", "2", "--users", "2", "--spawn-rate", "2", "--expect-workers-max-wait", "60")
    command = [*LOCUST, "--headless", "--only-summary", *two, *ports, *load]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("all 2 workers begin" in line for line in process.stderr)
        os.kill(children_of(process.pid)[0], signal.SIGKILL)
        _, said = process.communicate(timeout=240)
    return process.returncode, said


def test_what_is_never_answered_counts_as_slow_as_it_is(promised: Callable[[str], Any]) -> None:
    """Left out, it would make a service that froze for good look quick."""
    measured = promised("muted")
    unanswered = [one for one in measured.results if one.error]
    assert len(measured.results) == 20
    assert len(unanswered) == 10
    assert {one.error for one in unanswered} == {"no answer within 1 s of the end"}
    assert all(one.milliseconds >= 2000 - 1000 * one.due for one in unanswered)


def _drive_a_mute_service(results: Path) -> Measured:
    load = ("--scenario", "cifar", "--rate", "20", "--duration", "1", "--drain", "1")
    with running(StubServer(mute_after=20)) as url:
        command = [*LOCUST, "--headless", "--only-summary", *load, "--host", url, "--results", str(results)]
        subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=120)
    return merge(json.loads(results.read_bytes()), seconds=1)


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_locust_alone_ends_with_a_sentence_where_no_service_is() -> None:
    command = [*LOCUST, "--headless", "--only-summary", "--host", "http://127.0.0.1:1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "http://127.0.0.1:1 does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def total(url: str) -> dict[str, int]:
    """What the web UI counts of all requests."""
    stats: dict[str, int] = json.loads(fetch(f"{url}/stats/requests"))["stats"][-1]
    return stats


def fetch(url: str, form: bytes | None = None) -> str:
    with urllib.request.urlopen(url, form, timeout=5) as answer:  # noqa: S310 - our own
        text: str = answer.read().decode()
        return text


def answers(url: str) -> bool:
    try:
        return bool(fetch(url))
    except (urllib.error.URLError, ConnectionError):
        return False
