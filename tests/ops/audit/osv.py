"""A made service that knows of vulnerabilities: the real ones may not be reached from where tests run."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Known = dict[str, dict[str, Any]]  # what OSV answers, by the package's name


def vulnerable(package: str) -> dict[str, Any]:
    """What it answers of a package that has one, in every version before 99.0.0."""
    affected = {
        "package": {"name": package, "ecosystem": "PyPI"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0.0"}]}],
    }
    told = {"summary": "made for a test", "details": "made for a test"}
    return {
        "vulns": [
            {"id": "GHSA-made-up", "aliases": ["CVE-2099-0001"], **told, "affected": [affected]},
        ]
    }


@contextmanager
def running_osv(known: Known) -> Iterator[str]:
    """The URL at which it takes the questions of OSV's API."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps(known.get(question["package"]["name"], {})).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()
