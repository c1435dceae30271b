"""Bodies in, answers out, over one connection that is kept as long as the service keeps it."""

import contextlib
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from loadtest.address import Address

_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Sent:
    """What became of one body; status 0 where nothing was answered, and `said` is why."""

    status: int
    seconds: float
    said: str
    retry_after: str | None = None


class Sender:
    """Posts one body after the other, as most clients do: a refusal that comes amid a body is read."""

    def __init__(self, address: Address) -> None:
        where = urlsplit(address.url)
        self._connection = HTTPConnection(where.hostname or "", where.port, timeout=_PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def post(self, path: str, body: bytes, content_type: str = "application/octet-stream") -> Sent:
        """Send it, and take the answer, whatever it is."""
        began = time.monotonic()
        try:
            if self._connection.sock is None:
                self._connection.connect()
            with contextlib.suppress(ConnectionError):  # refused before it was all sent; the answer says why
                self._connection.request("POST", path, body, {"Content-Type": content_type})
            response = self._connection.getresponse()
            text = response.read().decode(errors="replace")
        except (OSError, HTTPException) as error:
            self._connection.close()
            return Sent(0, time.monotonic() - began, repr(error))
        seconds = time.monotonic() - began
        return Sent(response.status, seconds, text, response.headers.get("Retry-After"))
