"""The guarded protocol with a fast path, for pictures that come as a whole and soon."""

import asyncio
import logging
import time

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.fast_path import FastPath
from service.picture_head import PictureHead
from service.protocol import GuardedProtocol, NothingAsked

logger = logging.getLogger(__name__)

# That the rest of a small body may take before its request is the application's, which has clocks of its own:
# many clients send head and body in two pieces.
_REST_SECONDS = 0.05


class FastProtocol(GuardedProtocol):
    """A connection whose small pictures are answered past the application, which has all other requests."""

    fast_path: FastPath

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Nothing is on its way yet."""
        super().connection_made(transport)
        self._coming: _WholeExchange | None = None
        self._hand_over_later: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave to the application what has not come as a whole: it counts who has gone."""
        try:
            self._hand_over()
        finally:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Leave to the application what does not come soon."""
        super().data_received(data)
        if self._coming is not None and self._hand_over_later is None:
            self._hand_over_later = self.loop.call_later(_REST_SECONDS, self._hand_over_or_close)

    def on_message_complete(self) -> None:
        """Answer what has come as a whole."""
        super().on_message_complete()
        exchange = self._stop_waiting()
        if exchange is not None:
            exchange.complete = time.perf_counter()
            exchange.keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
            self.answering = exchange
            task = self.loop.create_task(self.fast_path.answer(exchange.head, exchange))
            task.add_done_callback(self._end)
            self.tasks.add(task)

    def takes(self, head: PictureHead) -> bool:
        """Whether the fast path is to answer."""
        is_ours = self.fast_path.takes(head, self.headers)
        if is_ours:
            self._coming = _WholeExchange(head, self)
            self.cycle = self._coming  # type: ignore[assignment]  # uvicorn adds to it what comes
        return is_ours

    def _hand_over(self) -> None:
        exchange = self._stop_waiting()
        if exchange is not None:
            self.cycle = NothingAsked()  # type: ignore[assignment]
            self.start_application()
            self.on_body(exchange.take_body())

    def _hand_over_or_close(self) -> None:
        try:
            self._hand_over()
        except Exception:
            logger.exception("a request could not be left to the application")
            self.transport.close()

    def forget(self, exchange: "_WholeExchange") -> None:
        """Keep nothing of what is over: the connection may stay."""
        current: object = self.cycle  # which uvicorn's types take for one of its own
        if current is exchange:
            self.cycle = NothingAsked()  # type: ignore[assignment]
        if self.answering is exchange:
            self.answering = None

    def _stop_waiting(self) -> "_WholeExchange | None":
        """The exchange whose body was on its way."""
        if self._hand_over_later is not None:
            self._hand_over_later.cancel()
            self._hand_over_later = None
        exchange, self._coming = self._coming, None
        return exchange

    def _end(self, task: asyncio.Task[None]) -> None:
        """Close the connection of one who could not be sent an answer."""
        self.tasks.discard(task)
        if task.cancelled():
            self.transport.close()
        elif task.exception() is not None:
            logger.error("an answer could not be sent", exc_info=task.exception())
            self.transport.close()


class _WholeExchange:
    """A request whose body comes, and its answer: what uvicorn's protocol asks of its own cycles."""

    message_event = asyncio.Event()  # nobody waits for it

    def __init__(self, head: PictureHead, connection: FastProtocol) -> None:
        self.head = head
        self._connection = connection
        self.begun = self.complete = time.perf_counter()
        self.body = bytearray()
        self.more_body = True
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = False

    def take_body(self) -> bytes:
        """All that has come, which is kept here no longer."""
        body, self.body = bytes(self.body), bytearray()
        return body

    async def is_gone(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.disconnected

    async def send(self, status: int, lines: bytes, body: bytes) -> bool:
        """Send an answer as a whole; whether there was somebody to get it."""
        connection = self._connection
        if connection.flow.write_paused and not self.disconnected:
            await connection.flow.drain()
        if self.disconnected:
            return False
        goes_on = self.keep_alive and not connection.gate.is_closing
        end = b"\r\n" if goes_on else b"connection: close\r\n\r\n"
        first = [b"%b: %b\r\n" % line for line in connection.server_state.default_headers]
        connection.transport.write(b"".join((STATUS_LINE[status], *first, lines, end, body)))
        self.response_complete = True
        connection.forget(self)
        if not goes_on:
            connection.transport.close()
        connection.on_response_complete()
        return True
