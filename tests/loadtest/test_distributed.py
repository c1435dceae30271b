"""Several processes send: one schedule shared, every single time merged. And the file in locust's web UI."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loadtest.address import Address
from loadtest.drive import LOCUSTFILE, Load, drive
from loadtest.server import free_port
from tests.support import ROOT, eventually

LOCUST = (sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE))


@contextlib.contextmanager
def locust(arguments: Sequence[str]) -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen([*LOCUST, *arguments], cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.terminate()


def test_two_workers_share_one_schedule_and_every_time_comes_back(patient: str) -> None:
    measured = drive(Address(patient), Load(40, 3, "light", processes=2))
    assert len(measured.generators) == 2
    assert sorted(one.offered for one in measured.generators) == pytest.approx([60, 60], rel=0.3)
    assert measured.offered == len(measured.results) == 120
    assert len({result.due for result in measured.results}) == 120
    assert [result.error for result in measured.results if result.error] == []
    assert any(result.milliseconds % 1 for result in measured.results)


def test_one_and_two_processes_send_the_same_schedule(patient: str) -> None:
    alone, shared = (drive(Address(patient), Load(20, 1, "light", processes=count)) for count in (1, 2))
    assert [(one.due, one.name) for one in alone.results] == [(one.due, one.name) for one in shared.results]


def test_master_waits_for_workers_from_elsewhere(patient: str) -> None:
    port = free_port()
    worker = ("--worker", "--master-host", "127.0.0.1", "--master-port", str(port))
    load = Load(20, 2, "cifar", remote_workers=2, master_port=port)
    with ThreadPoolExecutor() as pool:
        measured = pool.submit(drive, Address(patient), load)
        with locust(worker) as first, locust(worker) as second:
            assert measured.result(timeout=60).offered == len(measured.result().results) == 40
            assert len(measured.result().generators) == 2
            assert (first.wait(20), second.wait(20)) == (0, 0)


def test_locustfile_opens_in_locusts_web_ui_and_runs_from_there(patient: str) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    web = ("--host", patient, "--web-host", "127.0.0.1", "--web-port", str(port), "--scenario", "cifar")
    with locust([*web, "--rate", "20", "--duration", "1"]):
        assert eventually(lambda: answers(url), seconds=20)
        assert "<title>Locust</title>" in fetch(url)
        form = b"user_count=1&spawn_rate=1"
        assert json.loads(fetch(f"{url}/swarm", form))["success"]
        assert eventually(lambda: total(url)["num_requests"] == 20, seconds=20)
        assert total(url)["num_failures"] == 0


def test_lost_worker_fails_the_run(patient: str) -> None:
    """Locust would have the other one do the lost one's part afterwards, and call it a result."""
    port = str(free_port())
    ports = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port)
    load = ("--host", patient, "--scenario", "cifar", "--duration", "3", "--patience", "1")
    two = ("--processes", "2", "--users", "2", "--spawn-rate", "2")
    command = [
        *LOCUST,
        "--headless",
        "--only-summary",
        "--expect-workers-max-wait",
        "20",
        *ports,
        *load,
        *two,
    ]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("Sending spawn jobs" in line for line in process.stderr)
        os.kill(children_of(process.pid)[0], signal.SIGKILL)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "workers told what they measured" in said


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
