import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

from loadtest.address import Address, ServerError, parse_address
from tests.loadtest.stub import StubServer, running


class Odd(BaseHTTPRequestHandler):
    """Says by its path what it does."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/moved":
            self.send_response(307)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
        elif self.path == "/nonsense":
            self.wfile.write(b"what?\r\n\r\n")
        else:
            self.send_error(503)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def odd() -> Iterator[Address]:
    with HTTPServer(("127.0.0.1", 0), Odd) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield Address(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://localhost:8000/", "http://localhost:8000"),
        ("https://pets.example/classifier/", "https://pets.example/classifier"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_url_is_taken_without_the_slash_at_its_end(given: str, url: str) -> None:
    assert parse_address(given).url == url


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("localhost:8000", "must start with http:// or https:// and a host"),
        ("", "must start with http://"),
        ("http://", "and a host"),
        ("ftp://pets.example", "must start with http://"),
        ("http://localhost:80a", "Port could not be cast"),
        ("http://localhost:99999", "Port out of range"),
        ("http://pets example", "characters that can't stand in one"),
        ("http://pets.example/?model=cnn", "the model by --model"),
        ("http://me:secret@pets.example", "give the key by GLIMPSE_KEY or --key"),
    ],
)
def test_what_is_no_services_url_is_refused(given: str, says: str) -> None:
    with pytest.raises(ServerError) as caught:
        parse_address(given)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


def test_key_is_not_shown() -> None:
    address = Address("http://127.0.0.1:1", "secret")
    assert address.headers == {"X-API-Key": "secret"}
    assert "secret" not in repr(address)


def test_nobody_there_is_a_sentence() -> None:
    with pytest.raises(ServerError, match=r"^http://127\.0\.0\.1:1 does not answer: .*refused$"):
        Address("http://127.0.0.1:1").get("/health")


def test_every_status_is_an_answer_and_redirects_are_not_followed() -> None:
    with odd() as address:
        assert address.get("/missing").status == 503
        assert address.get("/moved").status == 307
    assert "/elsewhere" not in Odd.asked


def test_answer_that_is_no_http_is_a_sentence() -> None:
    with odd() as address, pytest.raises(ServerError, match="does not answer: what"):
        address.get("/nonsense")


def test_no_proxy_stands_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with running(StubServer()) as url:
        assert Address(url).get("/classes").status == 200
