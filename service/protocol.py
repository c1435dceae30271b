"""uvicorn's HTTP/1.1 with bounds on headers and on requests sent ahead, and with a gate behind them."""

import asyncio
import sys
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol, Self

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.errors import Overloaded
from service.gate import Gate
from service.picture_head import PictureHead, read_head
from service.schemas import ErrorAnswer, RequestErrorDetail
from service.shortage import SHORT, is_shortage
from service.trace import draw_id

_MOST_HEADER_BYTES = 65_536
# Requests that wait for the answers before theirs. All that comes at a time is parsed at once, which can be
# thousands, and each is held with its headers; clients that send ahead at all send a few.
_MOST_AHEAD = 16


class _Phase(Enum):
    """What of a connection's requests comes next."""

    BETWEEN = auto()  # the next request, if there is one
    HEADERS = auto()
    BODY = auto()


class Answering(Protocol):
    """A request, and what comes of it: what uvicorn asks of its own cycles."""

    disconnected: bool
    response_complete: bool
    message_event: asyncio.Event


class NothingAsked:
    """Stands for the request before a connection's first: uvicorn asks what came of the last one."""

    response_complete = True
    message_event = asyncio.Event()


class GuardedProtocol(HttpToolsProtocol):
    """A connection that is closed when its request's headers don't end, and whose pictures a gate sees first.

    uvicorn bounds only the silence after an answer, so that anybody could hold connections that never ask, or
    ask for thousands of answers at a time.
    """

    header_seconds: float
    gate: Gate
    on_lost: Callable[[], None]

    @classmethod
    def made(cls, header_seconds: float, gate: Gate, on_lost: Callable[[], None]) -> type[Self]:
        """This protocol with its own patience, in seconds, its gate, and whom to tell that it is over."""
        own = {"header_seconds": header_seconds, "gate": gate, "on_lost": staticmethod(on_lost)}
        return type(cls.__name__, (cls,), own)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first request its time."""
        super().connection_made(transport)
        self.cycle = NothingAsked()  # type: ignore[assignment]
        self.answering: Answering | None = None
        self._phase = _Phase.BETWEEN
        self._header_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the time, and tell the request that is being answered."""
        self._stop_clock()
        super().connection_lost(exc)
        self.on_lost()
        # uvicorn tells `cycle` alone, which is the last of those sent ahead.
        if self.answering is not None and not self.answering.response_complete:
            self.answering.disconnected = True
            self.answering.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Close the connection of one who only sends headers."""
        if self._phase is _Phase.BETWEEN and self._is_answered():
            self._start_clock()  # whatever this is: empty lines too end uvicorn's own patience
        self._is_head = self._phase is not _Phase.BODY
        super().data_received(data)
        if self._is_head:
            self._header_bytes += len(data)
            if self._header_bytes > _MOST_HEADER_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        """Note that headers come; those sent ahead get their time when the answer before them is out."""
        super().on_message_begin()
        self._phase = _Phase.HEADERS

    def on_headers_complete(self) -> None:
        """From here on the body's own limits hold, if there is room for the request at all."""
        self._phase = _Phase.BODY
        self._is_head, self._header_bytes = False, 0
        self._stop_clock()
        if self.transport.is_closing():  # nobody is going to answer what came along
            return
        if self._is_answered():  # answers are in the order of requests
            head = read_head(self.parser.get_method(), self.url, self.headers)
            if head is not None and (self._is_refused(head) or self.takes(head)):
                return
        self.start_application()

    def takes(self, head: PictureHead) -> bool:  # noqa: ARG002 - others do
        """Whether somebody else than the application is to answer."""
        return False

    def start_application(self) -> None:
        """Leave the request whose head is here to the application."""
        super().on_headers_complete()
        if len(self.pipeline) > _MOST_AHEAD:
            self.transport.close()

    def on_message_complete(self) -> None:
        """Expect the next request."""
        self._phase = _Phase.BETWEEN
        super().on_message_complete()
        # Answered before its body had come, whose coming ended the time for the next request.
        if self._is_answered() and self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """Give a request that was begun ahead its time."""
        super().on_response_complete()
        if self._phase is _Phase.HEADERS and self._is_answered():
            self._start_clock()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's one sentence
        """What is no HTTP gets an error in the form of all others; and so does what there is no room for."""
        # uvicorn calls this while it handles what the parser raised, be it of one of our own callbacks.
        raised = sys.exc_info()[1]
        if raised is not None and raised.__context__ is not None and is_shortage(raised.__context__):
            self._end_with("503 Service Unavailable", Overloaded.code, SHORT.message, "retry-after: 1")
        else:
            sentence = "what came is no HTTP/1.1 request: see that the client speaks HTTP, without TLS"
            self._end_with("400 Bad Request", "malformed_request", sentence)

    def _end_with(self, status: str, code: str, sentence: str, *headers: str) -> None:
        """Answer what has not got as far as the application, and close the connection."""
        request_id = draw_id()
        detail = RequestErrorDetail(code=code, message=sentence, request_id=request_id)
        body = ErrorAnswer(error=detail).model_dump_json().encode()
        head = (
            f"HTTP/1.1 {status}",
            *headers,
            "content-type: application/json",
            f"content-length: {len(body)}",
            f"x-request-id: {request_id}",
            "connection: close",
        )
        self.transport.write("\r\n".join((*head, "", "")).encode() + body)
        self.transport.close()

    def _is_refused(self, head: PictureHead) -> bool:
        """Whether there is no room, which is answered at once; what comes of the body is dropped."""
        refusal = self.gate.refusal(head)
        if refusal is not None:
            self._refuse(refusal)
        return refusal is not None

    def _refuse(self, refusal: bytes) -> None:
        lines = [b"%b: %b\r\n" % line for line in self.server_state.default_headers]
        # An application's answers wait in uvicorn until those before them are read; refusals would pile up.
        is_read = not self.flow.write_paused
        goes_on = self.parser.should_keep_alive() and is_read and not self.gate.is_closing
        if not goes_on:
            lines.append(b"connection: close\r\n")
        self.transport.write(b"".join((STATUS_LINE[Overloaded.status], *lines, refusal)))
        if goes_on:
            self.on_response_complete()
        else:
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        self.answering = cycle
        super()._start_asgi_task(cycle, _left_with_client(app, cycle))  # type: ignore[arg-type]

    def _is_answered(self) -> bool:
        return self.cycle.response_complete

    def _start_clock(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.header_seconds, self.transport.close)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _left_with_client(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """The application, whose sending raises ClientDisconnect once nobody is there: uvicorn says nothing."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_or_leave(message: Message) -> None:
            await send(message)
            if cycle.disconnected:
                raise ClientDisconnect

        await app(scope, receive, send_or_leave)

    return run
