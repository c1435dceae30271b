"""uvicorn's HTTP/1.1 with a bound on headers: on the time they may take, and on their size."""

import asyncio
from typing import Self

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_HEADER_BYTES = 65_536


class PatientProtocol(HttpToolsProtocol):
    """A connection that is closed when its request's headers don't end.

    uvicorn bounds only the pause after an answer, so that anybody could hold connections that never ask.
    """

    header_seconds = 10.0

    @classmethod
    def waiting(cls, header_seconds: float) -> type[Self]:
        """This protocol with its own patience, in seconds."""
        return type(cls.__name__, (cls,), {"header_seconds": header_seconds})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first request its time."""
        super().connection_made(transport)
        self._header_bytes = 0
        self._in_headers = True
        self._deadline = self.loop.call_later(self.header_seconds, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the time."""
        self._deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Close the connection of one who only sends headers."""
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > _MOST_HEADER_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        """Give every further request its time."""
        super().on_message_begin()
        if not self._in_headers:
            self._in_headers, self._header_bytes = True, 0
            self._deadline = self.loop.call_later(self.header_seconds, self.transport.close)

    def on_headers_complete(self) -> None:
        """From here on the body's own limits hold."""
        self._in_headers = False
        self._deadline.cancel()
        super().on_headers_complete()
