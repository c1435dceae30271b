"""A small real server that answers as the service does, or in some way doesn't."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CLASSES = sorted(path.stem for path in (Path(__file__).parents[2] / "loadtest" / "pictures").glob("*.png"))
_NEVER = 10**9
_REFUSAL = {"error": {"code": "overloaded", "message": "try again", "request_id": "1"}}


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
    """Takes each picture for what its file name says, one after the other, each in `work` seconds.

    After so many requests every picture is a ship to it (`confused_after`), it answers none any more
    (`mute_after`) or closes each connection (`dead_after`). Of `of` requests it refuses the last.
    """

    request_queue_size = 200
    daemon_threads = True

    def __init__(
        self,
        work: float = 0,
        confused_after: int = _NEVER,
        mute_after: int = _NEVER,
        dead_after: int = _NEVER,
        of: int = _NEVER,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.work, self.of = work, of
        self.confused_after, self.mute_after, self.dead_after = confused_after, mute_after, dead_after
        self.requests, self.lock, self.stopped = 0, threading.Lock(), threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def count(self) -> int:
        """The number of this request, after the work for it."""
        with self.lock:
            self.requests += 1
            number = self.requests
            time.sleep(self.work)
        return number


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
        server, number = self.server, self.server.count()
        if number > server.mute_after:
            server.stopped.wait()
        if number > min(server.mute_after, server.dead_after):
            self.close_connection = True
            return
        (name,) = re.findall(rb'filename="(\w+)', body)
        if number % server.of == 0:
            self._answer(_REFUSAL, 503)
        else:
            self._answer(classification("ship" if number > server.confused_after else name.decode()))

    def _answer(self, answer: object, status: int = 200) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 503:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running(server: StubServer) -> Iterator[str]:
    """Its URL, while it answers."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.url
        finally:
            server.stopped.set()
            server.shutdown()
            thread.join()
