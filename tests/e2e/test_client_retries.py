"""The client against a service that is busy, hangs up or goes away, and whose user goes away."""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadtest.server import running_service
from tests.e2e.client import CAT, COMMAND, client, rows
from tests.support import PICTURES, ROOT, counted, eventually, service_command


def test_overloaded_service_is_asked_again_until_all_is_classified(artifacts: Path) -> None:
    """One thread that may be waited for hardly at all refuses most of what comes at once."""
    settings = {
        "GLIMPSE_ARTIFACTS": str(artifacts),
        "GLIMPSE_WORKERS": "1",
        "GLIMPSE_THREADS": "1",
        "GLIMPSE_MAX_WAIT_MS": "0.1",
    }
    names = 3 * [PICTURES / f"{name}.png" for name in ("truck", "cat", "dog", "bird", "frog", "deer")]
    with running_service(service_command(), settings) as busy, httpx.Client(base_url=busy.url) as http:
        done = client(*names, busy.url, "--jobs", "12", "--retries", "100")
        assert eventually(lambda: counted(http, "glimpse_requests_total", status="503") > 0)
    assert done.returncode == 0, done.stdout
    assert [row[1] for row in rows(done)] == [name.stem for name in names]


@contextmanager
def stub(*statuses: int) -> Iterator[tuple[str, list[float]]]:
    """What no healthy service can be made to do at will: these statuses in turn, then 200; 0 hangs up."""
    left = list(statuses)
    asked: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(200, {"classes": ["cat"]})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(time.monotonic())
            status = left.pop(0) if left else 200
            best = {"class": "cat", "class_index": 0, "confidence": 1.0}
            found = {"prediction": best, "prediction_set": ["cat"], "low_confidence": False}
            if status:
                self.answer(status, found if status == 200 else {"error": {"message": "busy"}})
            else:
                self.close_connection = True

        def answer(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status == 503:
                self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()
        thread.join()


def test_busy_service_is_asked_again_after_the_time_it_names() -> None:
    with stub(503, 503) as (url, asked):
        assert client(CAT, url).returncode == 0
    assert len(asked) == 3
    assert all(0.95 < later - earlier < 3 for earlier, later in pairwise(asked))


def test_retries_end_with_the_services_sentence() -> None:
    with stub(*[503] * 9) as (url, asked):
        done = client(CAT, url, "--retries", "1")
    assert (done.returncode, len(asked)) == (1, 2)
    assert "FAILED: busy" in done.stdout


def test_broken_connection_is_tried_again() -> None:
    with stub(0, 0, 0) as (url, _):
        done = client(CAT, url)
    assert done.returncode == 0, done.stdout


def test_service_that_goes_away_stops_the_run(artifacts: Path) -> None:
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "1", "GLIMPSE_DRAIN_SECONDS": "0"}
    with running_service(service_command(), settings) as service:
        running = subprocess.Popen(
            [*COMMAND, *[str(PICTURES)] * 1000, service.url, "--retries", "2"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert running.stdout
        assert running.stdout.readline().startswith("FILE")
        assert "airplane" in running.stdout.readline()
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 2
    assert f"{service.url}: the service is gone (Connection refused)" in errors
    assert "Traceback" not in errors


@pytest.mark.alone
def test_ctrl_c_ends_at_once_and_quietly() -> None:
    with stub(*[503] * 99) as (url, asked):
        running = subprocess.Popen(
            [*COMMAND, str(CAT), url, "--retries", "99"], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        while not asked:
            time.sleep(0.01)
        started = time.monotonic()
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=10)
    assert (running.returncode, errors) == (130, "")
    assert time.monotonic() - started < 2
