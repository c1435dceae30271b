"""A small real server that answers as the service does, and can freeze."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CLASSES = sorted(path.stem for path in (Path(__file__).parents[2] / "loadtest" / "pictures").glob("*.png"))


def classification(name: str) -> dict[str, object]:
    """The service's answer for a picture of that class."""
    prediction = {"class": name, "class_index": 0, "confidence": 0.9}
    return {
        "filename": f"{name}.png",
        "prediction": prediction,
        "top_3_predictions": [prediction],
        "prediction_set": [name],
        "low_confidence": False,
        "model": {"name": "stub", "version": "1"},
    }


class StubServer(ThreadingHTTPServer):
    """Takes each picture for what its file name says; freezes for `frozen` of each `period` seconds.

    From `confused_after` requests on, every picture is a ship to it. It does one after the other, each in
    `work` seconds.
    """

    request_queue_size = 200

    def __init__(
        self, frozen: float = 0, period: float = 1, confused_after: int = 10**9, work: float = 0
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.frozen, self.period, self.confused_after = frozen, period, confused_after
        self.work, self.lock = work, threading.Lock()
        self.started, self.requests = time.monotonic(), 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def wait(self) -> None:
        """A freeze begins when a period does."""
        since = (time.monotonic() - self.started) % self.period
        time.sleep(max(0.0, self.frozen - since))
        if self.work:
            with self.lock:
                time.sleep(self.work)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = (
        True  # head and body go out apart, and the body would wait for an acknowledgement
    )
    server: StubServer

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self.send_error(404)
        else:
            self._answer({"classes": CLASSES, "models": [{"name": "stub"}]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests += 1
        is_confused = self.server.requests > self.server.confused_after
        (name,) = re.findall(rb'filename="(\w+)', body)
        self.server.wait()
        self._answer(classification("ship" if is_confused else name.decode()))

    def _answer(self, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running(server: StubServer) -> Iterator[str]:
    """Its URL, while it answers."""
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()
