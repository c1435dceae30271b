"""A request with pictures, whichever way it came: what the functions of its routes have of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

from starlette.requests import Request
from starlette.types import Receive

from service.trace import Trace


@dataclass(slots=True)
class StreamedBody:
    """A body that is still to come, in ASGI's messages."""

    declared: str  # its length in bytes as the caller says, if at all
    receive: Receive


@dataclass(slots=True)
class Call:
    """A request with pictures."""

    trace: Trace
    query: bytes  # of its address, as it came
    content_type: str
    body: bytes | StreamedBody
    is_gone: Callable[[], Awaitable[bool]]  # whether nobody waits for the answer any more

    @classmethod
    def of(cls, request: Request) -> Self:
        """What came by ASGI."""
        headers = request.headers
        return cls(
            trace=request.state.trace,
            query=request.scope["query_string"],
            content_type=headers.get("content-type", ""),
            body=StreamedBody(headers.get("content-length", ""), request.receive),
            is_gone=request.is_disconnected,
        )
