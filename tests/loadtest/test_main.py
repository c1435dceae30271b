"""The real load test, against the real service and against a made one that stalls."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support import ROOT


def load_test(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "loadtest", "--url", url, "--rate", "30", "--duration", "4", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_healthy_service_passes_and_every_kind_is_reported(server: str) -> None:
    done = load_test(server, "--p95", "1000")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED: p95 is under 1000 ms and nothing failed" in done.stdout
    for row in ("png 32x32", "jpeg 640x480", "all"):
        assert any(line.startswith(row) for line in done.stdout.splitlines())


def test_unreachable_limit_fails(server: str) -> None:
    done = load_test(server, "--p95", "0.01")
    assert done.returncode == 1
    assert "FAILED: p95 is" in done.stdout


def test_failing_requests_fail_the_run(server: str) -> None:
    done = load_test(server, "--model", "none", "--p95", "1000")
    assert done.returncode == 1
    assert "model 'none' is not loaded" in done.stdout


def test_wrong_rate_is_refused() -> None:
    done = load_test("http://127.0.0.1:1", "--rate", "-5")
    assert done.returncode == 2
    assert "'-5' is not allowed: give a number above 0" in done.stderr


@pytest.mark.parametrize(
    ("url", "says"),
    [("http://127.0.0.1:1", "no service is ready there"), ("localhost:8000", "must start with http://")],
)
def test_wrong_url_is_refused_at_once(url: str, says: str) -> None:
    done = load_test(url, "--duration", "1000")
    assert done.returncode == 1
    assert says in done.stderr


def test_stall_is_charged_to_the_server(stalling_server: str) -> None:
    """One second in four stands still: a closed loop would see one slow request, p95 must see it."""
    done = load_test(stalling_server)
    assert done.returncode == 1
    p95 = float(next(line for line in done.stdout.splitlines() if line.startswith("all")).split()[3])
    assert p95 > 500


@pytest.fixture
def stalling_server() -> Iterator[str]:
    """Answers at once, but stands still for a second at its 30th classification."""
    lock = threading.Lock()
    seen = 0

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_POST(self) -> None:
            nonlocal seen
            self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                seen += 1
                if seen == 30:
                    time.sleep(1)
            body = b'{"prediction": {}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()
