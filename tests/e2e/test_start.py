"""How the service starts and stops: real processes."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from chaos.processes import children, family
from loadtest.server import running_service
from tests.support import ROOT, newest, service_command


def start(**settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **settings}
    return subprocess.run(
        service_command(), cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_wrong_setting_stops_the_start_naming_it() -> None:
    done = start(GLIMPSE_THREADS="0")
    assert done.returncode == 2
    assert done.stderr.startswith("GLIMPSE_THREADS=0: ")


def test_no_bundle_stops_the_start_with_one_sentence(tmp_path: Path) -> None:
    done = start(GLIMPSE_ARTIFACTS=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("service: ")
    assert done.stderr.count("\n") == 1


def test_changed_graph_stops_the_start(artifacts: Path, tmp_path: Path) -> None:
    source = newest(artifacts / "cnn")
    changed = shutil.copytree(source, tmp_path / "cnn" / source.name)
    with (changed / "model.onnx").open("ab") as graph:
        graph.write(b"\0")
    done = start(GLIMPSE_ARTIFACTS=str(tmp_path))
    assert done.returncode == 1
    assert "model.onnx is not the file its manifest names" in done.stderr


def test_port_in_use_stops_the_start_with_one_sentence(server: str) -> None:
    port = server.rpartition(":")[2]
    done = start(GLIMPSE_PORT=port)
    assert done.returncode == 2
    assert f"GLIMPSE_PORT={port}: Address already in use; choose another\n" in done.stderr


@pytest.mark.parametrize("host", ["nowhere.invalid", "no..host"])
def test_unknown_host_stops_the_start_with_one_sentence(host: str) -> None:
    done = start(GLIMPSE_HOST=host)
    assert done.returncode == 2
    assert done.stderr.startswith(f"GLIMPSE_HOST={host} GLIMPSE_PORT=8000: ")
    assert done.stderr.count("\n") == 1


def test_default_model_that_is_not_there_stops_the_start_naming_it(artifacts: Path) -> None:
    done = start(GLIMPSE_ARTIFACTS=str(artifacts), GLIMPSE_DEFAULT_MODEL="vit", GLIMPSE_LOG_LEVEL="error")
    assert done.returncode == 2
    assert done.stderr == "GLIMPSE_DEFAULT_MODEL=vit: not loaded; choose one of cnn, resnet\n"


def test_models_of_different_classes_without_a_default_stop_the_start(mixed: Path) -> None:
    done = start(GLIMPSE_ARTIFACTS=str(mixed), GLIMPSE_LOG_LEVEL="error")
    assert done.returncode == 2
    assert "have different classes: name one in GLIMPSE_DEFAULT_MODEL\n" in done.stderr


def test_only_workers_have_threads(artifacts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread a CPU of the host in each process would be more than a container may have."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "1"}
    with running_service(service_command(), settings) as service:
        (worker,) = children(service.process.pid)
        others = [pid for pid in family(service.process.pid) if pid != worker]
        assert len(others) > 1
        assert {len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in others} == {1}


def test_sigterm_ends_it_with_status_0() -> None:
    with running_service(service_command()) as service:
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(timeout=10) == 0


def test_sigterm_while_the_models_load_ends_it_with_status_0(artifacts: Path) -> None:
    environment = {**os.environ, "GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_PORT": "0"}
    with subprocess.Popen(service_command(), cwd=ROOT, env=environment, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert any(b"loaded" in line for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait(timeout=10) == 0
