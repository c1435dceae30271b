"""How the service lives and dies: real processes, real signals."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from loadtest.server import Service, running_service
from service.bundle import decode_golden, encode_golden, sha256
from service.settings import Settings
from tests.support import PICTURES, ROOT, counted, encode, eventually, newest, service_command

CAT = (PICTURES / "cat.png").read_bytes()
BACK_SECONDS = 5


@pytest.fixture
def four(artifacts: Path) -> Iterator[Service]:
    """Four workers, all of them ready."""
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "4", "GLIMPSE_MAX_WAIT_MS": "5000"}
    with running_service(service_command(), settings) as service, httpx.Client(base_url=service.url) as http:
        assert eventually(lambda: counted(http, "glimpse_workers") == 4, 30)
        yield service


def workers(service: Service) -> list[int]:
    pid = service.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_metrics_of_four_workers_count_every_request(four: Service) -> None:
    def send(_: int) -> int:
        return httpx.post(f"{four.url}/classify", content=CAT, timeout=30).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, range(200))) == {200}
    with httpx.Client(base_url=four.url) as http:
        route = {"route": "/classify", "status": "200"}
        assert eventually(lambda: counted(http, "glimpse_requests_total", **route) == 200)
        assert counted(http, "glimpse_predictions_total") == 200


def test_killed_worker_loses_only_its_own_requests_and_is_replaced(four: Service) -> None:
    statuses: list[int | str] = []
    stop = threading.Event()

    def ask_on() -> None:
        while not stop.is_set():
            try:
                statuses.append(httpx.post(f"{four.url}/classify", content=CAT, timeout=30).status_code)
            except httpx.TransportError as error:
                statuses.append(repr(error))

    threads = [threading.Thread(target=ask_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    victim = workers(four)[0]
    os.kill(victim, signal.SIGKILL)
    with httpx.Client(base_url=four.url) as http:
        assert eventually(lambda: victim not in workers(four) and len(workers(four)) == 4, BACK_SECONDS)
        assert eventually(lambda: counted(http, "glimpse_workers") == 4, BACK_SECONDS)
        assert counted(http, "glimpse_workers_expected") == 4
        assert counted(http, "glimpse_worker_restarts_total") == 1
    stop.set()
    for thread in threads:
        thread.join()
    lost = [status for status in statuses if status != 200]
    assert len(statuses) > 20
    assert len(lost) <= len(threads), lost


def test_supervisor_that_can_start_nothing_goes_on_and_replaces_the_dead_once_it_can(
    artifacts: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "2"}
    with running_service(service_command(), settings, log) as service:
        assert eventually(lambda: len(workers(service)) == 2)
        pid, (victim, _) = service.process.pid, workers(service)
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda: "can't be started: Too many open files" in log.read_text())
        assert httpx.post(f"{service.url}/classify", content=CAT, timeout=30).status_code == 200
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        assert eventually(lambda: len(workers(service)) == 2, 30)
    assert "Traceback" not in log.read_text()


def test_ready_turns_503_and_requests_in_flight_finish(artifacts: Path) -> None:
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "1", "GLIMPSE_DRAIN_SECONDS": "2"}
    with running_service(service_command(), settings) as service:
        batch = [("files", ("cat.png", CAT))] * 64
        with ThreadPoolExecutor(1) as pool:
            in_flight = pool.submit(httpx.post, f"{service.url}/classify/batch", files=batch, timeout=30)
            time.sleep(0.05)
            service.process.send_signal(signal.SIGTERM)
            assert eventually(lambda: httpx.get(f"{service.url}/health/ready").status_code == 503, 2)
            assert httpx.get(f"{service.url}/health").json()["status"] == "stopping"
            assert in_flight.result().json()["count"] == 64
        assert service.process.wait(timeout=10) == 0


def test_workers_end_when_their_supervisor_is_killed(artifacts: Path) -> None:
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "2", "GLIMPSE_DRAIN_SECONDS": "0"}
    with running_service(service_command(), settings) as service:
        orphans = workers(service)
        service.process.kill()
        assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))


def spoil_graph(bundle: Path) -> str:
    (bundle / "model.onnx").write_bytes(b"\0")
    return "model.onnx is not the file its manifest names"


def spoil_manifest(bundle: Path) -> str:
    path = bundle / "manifest.json"
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 1'))
    return "schema_version"


def remove_golden(bundle: Path) -> str:
    (bundle / "golden.npz").unlink()
    return "No such file or directory"


def change_golden(bundle: Path) -> str:
    """Another model's golden pictures, under their own hash: only the answers are wrong."""
    golden = decode_golden(bundle / "golden.npz")
    rolled = {name: array[::-1].copy() for name, array in golden.probabilities.items()}
    content = encode_golden(type(golden)(golden.pictures, rolled))
    (bundle / "golden.npz").write_bytes(content)
    manifest: dict[str, Any] = json.loads((bundle / "manifest.json").read_text())
    manifest["files"]["golden.npz"] = sha256(content)
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return "away from the exported answers"


@pytest.mark.parametrize("spoil", [spoil_graph, spoil_manifest, remove_golden, change_golden])
def test_bad_bundle_is_named_and_the_others_serve(
    spoil: Callable[[Path], str], artifacts: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(artifacts, tmp_path / "artifacts")
    reason = spoil(newest(folder / "resnet"))
    log = tmp_path / "log"
    settings = {"GLIMPSE_ARTIFACTS": str(folder), "GLIMPSE_WORKERS": "1"}
    with running_service(service_command(), settings, log) as service:
        health = httpx.get(f"{service.url}/health").json()
        assert health["status"] == "degraded"
        assert [model["name"] for model in health["models"]] == ["cnn"]
        (failed,) = health["failed"]
        assert failed["name"] == "resnet"
        assert reason in failed["error"]
        answer = httpx.post(f"{service.url}/classify", content=CAT).json()
        assert answer["model"]["name"] == "cnn"
    assert reason in log.read_text()
    assert "Traceback" not in log.read_text()


def test_default_model_that_is_bad_leaves_the_others_serving(artifacts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(artifacts, tmp_path / "artifacts")
    spoil_graph(newest(folder / "resnet"))
    settings = {"GLIMPSE_ARTIFACTS": str(folder), "GLIMPSE_DEFAULT_MODEL": "resnet", "GLIMPSE_WORKERS": "1"}
    with running_service(service_command(), settings) as service, httpx.Client(base_url=service.url) as http:
        assert http.get("/health").json()["status"] == "degraded"
        assert [model["default"] for model in http.get("/models").json()["models"]] == [False]
        assert http.post("/classify", content=CAT).json()["error"]["code"] == "unknown_model"
        assert http.post("/classify?model=cnn", content=CAT).status_code == 200


def test_batch_ends_with_its_caller_or_its_time(artifacts: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "1", "GLIMPSE_BATCH_SECONDS": "1"}
    large = encode(Image.new("L", (7000, 7000)))
    batch = [("files", ("large.png", large))] * 64
    with (
        running_service(service_command(), settings, log) as service,
        httpx.Client(base_url=service.url) as http,
    ):
        started = time.monotonic()
        response = http.post("/classify/batch", files=batch, timeout=30)
        assert response.status_code == 503
        assert "GLIMPSE_BATCH_SECONDS" in response.json()["error"]["message"]
        assert time.monotonic() - started < 5
        with pytest.raises(httpx.ReadTimeout):
            http.post("/classify/batch", files=batch, timeout=httpx.Timeout(10, read=0.3))
        given_up = {"route": "/classify/batch", "status": "499"}
        assert eventually(lambda: counted(http, "glimpse_requests_total", **given_up) == 1)
    assert "Traceback" not in log.read_text()


def test_what_does_not_end_in_time_is_cut_off_with_a_sentence(artifacts: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    settings = {
        "GLIMPSE_ARTIFACTS": str(artifacts),
        "GLIMPSE_WORKERS": "1",
        "GLIMPSE_DRAIN_SECONDS": "0",
        "GLIMPSE_GRACE_SECONDS": "1",
    }
    batch = [("files", ("large.png", encode(Image.new("L", (7000, 7000)))))] * 64
    with running_service(service_command(), settings, log) as service, ThreadPoolExecutor(1) as pool:
        in_flight = pool.submit(httpx.post, f"{service.url}/classify/batch", files=batch, timeout=30)
        time.sleep(1)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(timeout=10) == 0
        assert "GLIMPSE_GRACE_SECONDS" in in_flight.result().json()["error"]["message"]
    assert "Traceback" not in log.read_text()


def is_refused(url: str) -> bool:
    """Whether nobody listens there; a connection that is taken and left waiting is no refusal."""
    try:
        httpx.get(f"{url}/health/live", timeout=1)
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        return False
    return False


def test_who_comes_after_the_drain_is_refused_while_another_is_still_answered(artifacts: Path) -> None:
    settings = {
        "GLIMPSE_ARTIFACTS": str(artifacts),
        "GLIMPSE_WORKERS": "1",
        "GLIMPSE_DRAIN_SECONDS": "0",
        "GLIMPSE_STALL_SECONDS": "60",
    }
    with running_service(service_command(), settings) as service, httpx.Client(base_url=service.url) as http:
        slow = HTTPConnection(*service.url.removeprefix("http://").split(":"), timeout=60)
        slow.putrequest("POST", "/classify")
        slow.putheader("Content-Length", str(len(CAT)))
        slow.endheaders(CAT[:100])
        in_flight = "glimpse_requests_in_flight"  # among them the one that asks for it
        assert eventually(lambda: counted(http, in_flight) == 2, 30)
        service.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: is_refused(service.url), 30)
        slow.send(CAT[100:])
        answer = slow.getresponse()
        assert answer.status == 200
        assert json.load(answer)["prediction"]["class"] == "cat"
        slow.close()
        assert service.process.wait(timeout=30) == 0


def test_one_cpu_gets_one_worker_and_the_log_says_so(artifacts: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    one_cpu = ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0))), *service_command()]
    with running_service(one_cpu, {"GLIMPSE_ARTIFACTS": str(artifacts)}, log) as service:
        assert len(workers(service)) == 1
    assert "1 workers with 1 threads each, on 1 usable CPUs" in log.read_text()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_each_model_of_a_worker_has_a_thread_for_an_idle_cpu(artifacts: Path) -> None:
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "2", "GLIMPSE_THREADS": "1"}
    settings["GLIMPSE_ENGINE"] = "onnxruntime"  # others have threads besides

    def threads(most: int) -> int:
        more = {"GLIMPSE_MOST_THREADS": str(most)}
        with running_service(service_command(), {**settings, **more}) as service:
            return len(list(Path(f"/proc/{workers(service)[0]}/task").iterdir()))

    assert threads(2) - threads(1) == len(list(artifacts.glob("*/*/manifest.json")))


def test_help_lists_every_setting_with_its_default() -> None:
    command = [*service_command(), "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.search(r"^  GLIMPSE_MAX_BODY_BYTES +10000000 +largest request body$", shown, re.MULTILINE)
    for name in Settings.model_fields:
        assert f"  GLIMPSE_{name.upper()} " in shown
