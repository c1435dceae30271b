"""One HTTP request in, its JSON answer out, over a connection that each thread keeps."""

import http.client
import json
import os
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from service.client.errors import UsageError
from service.client.pictures import Picture

_BLOCK = 1 << 16  # bytes of a file that are read and sent at a time


@dataclass(frozen=True)
class Answer:
    """What came back; `content` is None where it is no JSON object."""

    status: int
    reason: str
    retry_after: str
    content: dict[str, Any] | None


class Connections:
    """A connection for each thread that asks."""

    def __init__(self, url: str, headers: dict[str, str], timeout: float) -> None:
        """Take the service's URL, headers for every request, and the longest silence in seconds.

        Raises:
            UsageError: the URL can't be one of a service.
        """
        self._secure, self._host, self._port, self._path = _split(url)
        self._headers = headers
        self._timeout = timeout
        self._local = threading.local()
        self._all: list[http.client.HTTPConnection] = []
        self._is_closed = False

    def ask(self, method: str, path: str, picture: Picture | None = None) -> Answer:
        """Send one request, with the picture as its body.

        Raises:
            OSError, http.client.HTTPException: nothing listens, or the connection broke.
        """
        connection = self._mine()
        is_old = connection.sock is not None
        try:
            return self._ask_once(connection, method, path, picture)
        except ConnectionError:
            if not is_old or self._is_closed:
                raise
            # The service may close a connection that has been idle, just as it is used again.
            return self._ask_once(connection, method, path, picture)

    def close(self) -> None:
        """Break off what other threads are waiting for."""
        self._is_closed = True
        for connection in self._all:
            if connection.sock is not None:
                _shut(connection)

    def _mine(self) -> http.client.HTTPConnection:
        if not hasattr(self._local, "connection"):
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            made = kind(self._host, self._port, timeout=self._timeout, blocksize=_BLOCK)
            self._local.connection = made
            self._all.append(made)
        mine: http.client.HTTPConnection = self._local.connection
        return mine

    def _ask_once(
        self, connection: http.client.HTTPConnection, method: str, path: str, picture: Picture | None
    ) -> Answer:
        try:
            self._send(connection, method, self._path + path, picture)
            response = connection.getresponse()
            body = response.read()
        except BaseException:
            connection.close()
            raise
        wait = response.headers.get("Retry-After", "")
        return Answer(response.status, response.reason, wait, _parse(body))

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, picture: Picture | None
    ) -> None:
        if picture is None:
            connection.request(method, path, headers=self._headers)
            return
        with picture.open() as body:
            size = body.seek(0, os.SEEK_END)
            body.seek(0)
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            try:
                connection.request(method, path, body, self._headers | headers)
            except (BrokenPipeError, ConnectionResetError):
                # A body over the limit is refused while it is still being sent; the reason is there to read.
                if connection.sock is None:
                    raise


def _split(url: str) -> tuple[bool, str, int | None, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{url!r}: {error}; a service's URL looks like http://127.0.0.1:8000") from error
    if not parts.hostname or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"{url!r}: names no host; a service's URL looks like http://127.0.0.1:8000")
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError(
            f"{url!r}: a user, a query or a fragment can't stand in a service's URL: give the key with --key "
            "and the model with --model"
        )
    return parts.scheme == "https", parts.hostname, port, parts.path.rstrip("/")


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _shut(connection: http.client.HTTPConnection) -> None:
    try:
        connection.sock.shutdown(2)
    except OSError:  # it is closed already
        return
