"""A request's body in, encoded pictures out; everything over a limit is refused while it arrives."""

import asyncio
import time
from collections.abc import Callable

from starlette.requests import ClientDisconnect

from service.buffer import BufferedBody
from service.call import Call, StreamedBody
from service.errors import BodyTimeout, BodyTooLarge, EmptyBody, MissingFile, Overloaded, TooManyImages
from service.forms import Upload, is_form, read_form
from service.settings import Settings


class Patience:
    """How long one request may still be worked on."""

    def __init__(self, call: Call, seconds: float) -> None:
        self._is_gone = call.is_gone
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    async def go_on(self) -> None:
        """Nothing, as long as the caller is there and the time is not over.

        Raises:
            ClientDisconnect: nobody waits for the answer.
            Overloaded: it has taken too long.
        """
        if await self._is_gone():
            raise ClientDisconnect
        if time.monotonic() > self._end:
            raise Overloaded(
                f"the batch takes longer than {self._seconds:g} s (GLIMPSE_BATCH_SECONDS): send fewer or "
                "smaller pictures at a time"
            )


async def read_picture(
    call: Call, settings: Settings, received: BufferedBody, check_room: Callable[[], None]
) -> Upload:
    """The multipart field `file`, or the whole body when it is no form.

    `check_room` raises where there is no room for the work by now: parsing would be for nothing.

    Raises:
        BodyError: the body is empty, too large, too slow, malformed, or without the field.
        Overloaded: too much is being held.
    """
    body = await _read_body(call, settings, received)
    check_room()
    if not is_form(call.content_type):
        return Upload(None, body)
    uploads = await read_form(call.content_type, body, "file", settings.max_batch)
    if len(uploads) > 1:
        raise TooManyImages
    if not uploads[0].data:
        raise EmptyBody("the file in the form is empty: send a picture in it")
    return uploads[0]


async def read_pictures(
    call: Call, settings: Settings, received: BufferedBody, check_room: Callable[[], None]
) -> list[Upload]:
    """The multipart fields `files`, in the order sent; `check_room` as for read_picture.

    Raises:
        BodyError: as for read_picture, and for more pictures than settings.max_batch.
        Overloaded: too much is being held.
    """
    body = await _read_body(call, settings, received)
    check_room()
    if not is_form(call.content_type):
        raise MissingFile("a batch is a multipart form: send each picture in a file field named 'files'")
    return await read_form(call.content_type, body, "files", settings.max_batch)


async def _read_body(call: Call, settings: Settings, received: BufferedBody) -> bytes:
    if isinstance(call.body, StreamedBody):
        await _receive_all(call.body, settings, received)
        body = received.take_all()
    else:
        received.hold(len(call.body))
        body, call.body = call.body, b""  # as its pictures are enough to keep
    if not body:
        raise EmptyBody
    return body


async def _receive_all(body: StreamedBody, settings: Settings, received: BufferedBody) -> None:
    limit = settings.max_body_bytes
    if body.declared.isdecimal() and int(body.declared) > limit:
        raise _too_large(limit)
    loop = asyncio.get_running_loop()
    end = loop.time() + settings.read_seconds
    try:
        async with asyncio.timeout_at(min(end, loop.time() + settings.stall_seconds)) as patience:
            while await _receive(body, received, limit):
                patience.reschedule(min(end, loop.time() + settings.stall_seconds))
    except TimeoutError as error:
        raise BodyTimeout(
            f"the body stopped arriving after {received.count} bytes: nothing came for "
            f"{settings.stall_seconds:g} s (GLIMPSE_STALL_SECONDS), or not all of it within "
            f"{settings.read_seconds:g} s (GLIMPSE_READ_SECONDS); send it again"
        ) from error


async def _receive(body: StreamedBody, received: BufferedBody, limit: int) -> bool:
    """Add what comes next of the body, of at most `limit` bytes; whether there is more."""
    message = await body.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    received.add(message.get("body", b""))
    if received.count > limit:
        raise _too_large(limit)
    return bool(message.get("more_body", False))


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"the body is larger than {limit} bytes (GLIMPSE_MAX_BODY_BYTES): send a smaller picture"
    )
