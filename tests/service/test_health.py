"""The health check of a container, as it is run: a process with the service's environment."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from loadtest.server import free_port, running_service
from service.health import DEFAULTS
from service.settings import Settings
from tests.support import ROOT, eventually, service_command


def ask(**settings: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "service.health"],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert not done.stderr
    assert done.stdout.count("\n") == 1
    return done.returncode, done.stdout.strip()


def test_it_follows_the_service_from_ready_to_stopping(artifacts: Path) -> None:
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "1", "GLIMPSE_DRAIN_SECONDS": "30"}
    with running_service(service_command(), settings) as service:
        port = service.url.rpartition(":")[2]
        for host in ("0.0.0.0", "", "127.0.0.1", "localhost"):  # noqa: S104 - asked, not listened on
            assert ask(GLIMPSE_PORT=port, GLIMPSE_HOST=host) == (0, "ready")
        service.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: httpx.get(f"{service.url}/health/ready").status_code == 503)
        url = f"http://127.0.0.1:{port}/health/ready"
        assert ask(GLIMPSE_PORT=port) == (1, f"unhealthy: {url} answers 503 Service Unavailable, not 200 OK")
        pid = service.process.pid
        for worker in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(worker), signal.SIGTERM)  # the second one ends the time that is left


def test_where_nobody_listens_it_names_the_address() -> None:
    port = str(free_port())
    url = f"http://[::1]:{port}/health/ready"
    status, said = ask(GLIMPSE_PORT=port, GLIMPSE_HOST="::")
    assert (status, said.partition(": ")[0]) == (1, "unhealthy")
    assert said.startswith(f"unhealthy: nothing answers at {url}: ")


@pytest.mark.parametrize(
    ("answer", "expected"), [(b"", "does not answer within 2 s"), (b"SSH-2.0\r\n", "is no HTTP server")]
)
def test_what_is_no_service_is_said_to_be_none(answer: bytes, expected: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        command = [sys.executable, "-m", "service.health"]
        environment = {**os.environ, "GLIMPSE_PORT": port}
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as asker:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(answer)
                said, _ = asker.communicate(timeout=60)
    assert asker.returncode == 1
    assert expected in said


@pytest.mark.parametrize("port", ["0", "http", "70000"])
def test_port_that_can_not_be_asked_is_named(port: str) -> None:
    status, said = ask(GLIMPSE_PORT=port)
    assert status == 1
    assert said.startswith(f"unhealthy: GLIMPSE_PORT={port}: must be a number from 1 to 65535")


def test_defaults_are_those_of_the_settings() -> None:
    fields = {f"GLIMPSE_{name.upper()}": str(field.default) for name, field in Settings.model_fields.items()}
    assert fields.items() >= DEFAULTS.items()


def test_it_imports_little() -> None:
    code = "import sys, service.health; print('pydantic' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]
