"""A request's body in, encoded pictures out; everything over a limit is refused while it arrives."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from service.buffer import BufferedBody
from service.errors import (
    BodyTimeout,
    BodyTooLarge,
    EmptyBody,
    MalformedMultipart,
    MissingFile,
    Overloaded,
    TooManyImages,
    UnexpectedField,
)
from service.settings import Settings

_MOST_FIELDS = 20  # that are no files; none is asked for
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})  # Python knows others that decode to no text


@dataclass(frozen=True)
class Upload:
    """A picture as it was sent; a bare body has no file name."""

    filename: str | None
    data: bytes


class Patience:
    """How long one request may still be worked on."""

    def __init__(self, request: Request, seconds: float) -> None:
        self._request = request
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    async def go_on(self) -> None:
        """Nothing, as long as the caller is there and the time is not over.

        Raises:
            ClientDisconnect: nobody waits for the answer.
            Overloaded: it has taken too long.
        """
        if await self._request.is_disconnected():
            raise ClientDisconnect
        if time.monotonic() > self._end:
            raise Overloaded(
                f"the batch takes longer than {self._seconds:g} s (GLIMPSE_BATCH_SECONDS): send fewer or "
                "smaller pictures at a time"
            )


async def read_picture(
    request: Request, settings: Settings, received: BufferedBody, check_room: Callable[[], None]
) -> Upload:
    """The multipart field `file`, or the whole body when it is no form.

    `check_room` raises where there is no room for the work by now: parsing would be for nothing.

    Raises:
        BodyError: the body is empty, too large, too slow, malformed, or without the field.
        Overloaded: too much is being held.
    """
    body = await _read_body(request, settings, received)
    check_room()
    if not _is_form(request):
        return Upload(None, body)
    form = await _parse_form(request, body, settings.max_batch)
    try:
        files = _files(form, "file")
        if len(files) > 1:
            raise TooManyImages
        upload = await _upload(files[0])
    finally:
        await form.close()
    if not upload.data:
        raise EmptyBody("the file in the form is empty: send a picture in it")
    return upload


async def read_pictures(
    request: Request, settings: Settings, received: BufferedBody, check_room: Callable[[], None]
) -> list[Upload]:
    """The multipart fields `files`, in the order sent; `check_room` as for read_picture.

    Raises:
        BodyError: as for read_picture, and for more pictures than settings.max_batch.
        Overloaded: too much is being held.
    """
    body = await _read_body(request, settings, received)
    check_room()
    if not _is_form(request):
        raise MissingFile("a batch is a multipart form: send each picture in a file field named 'files'")
    form = await _parse_form(request, body, settings.max_batch)
    try:
        return [await _upload(file) for file in _files(form, "files")]
    finally:
        await form.close()


async def _read_body(request: Request, settings: Settings, received: BufferedBody) -> bytes:
    limit = settings.max_body_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    loop = asyncio.get_running_loop()
    end = loop.time() + settings.read_seconds
    try:
        async with asyncio.timeout_at(min(end, loop.time() + settings.stall_seconds)) as patience:
            async for chunk in request.stream():
                received.add(chunk)
                if received.count > limit:
                    raise _too_large(limit)
                patience.reschedule(min(end, loop.time() + settings.stall_seconds))
    except TimeoutError as error:
        raise BodyTimeout(
            f"the body stopped arriving after {received.count} bytes: nothing came for "
            f"{settings.stall_seconds:g} s (GLIMPSE_STALL_SECONDS), or not all of it within "
            f"{settings.read_seconds:g} s (GLIMPSE_READ_SECONDS); send it again"
        ) from error
    if not received.count:
        raise EmptyBody
    return received.take_all()


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"the body is larger than {limit} bytes (GLIMPSE_MAX_BODY_BYTES): send a smaller picture"
    )


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/")


class _InMemoryParser(MultiPartParser):
    """The body is in memory already; copying its parts to disk would only cost time."""

    spool_max_size = 2**62


async def _parse_form(request: Request, body: bytes, max_files: int) -> FormData:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    _, options = parse_options_header(request.headers["content-type"])
    charset = options.get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower() not in _CHARSETS:
        raise MalformedMultipart(f"the form's charset is {charset!r}: send it in utf-8, as forms are sent")
    parser = _InMemoryParser(request.headers, stream(), max_files=max_files, max_fields=_MOST_FIELDS)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise too_many_images(max_files) from error
        raise MalformedMultipart(f"the multipart body can't be read: {error.message}") from error
    # The parser takes a body that breaks off for a shorter one.
    if b"--" + options[b"boundary"] + b"--" not in body:
        raise MalformedMultipart
    return form


def _files(form: FormData, field: str) -> list[UploadFile]:
    files = [value for value in form.getlist(field) if isinstance(value, UploadFile)]
    if not files:
        raise missing_file(field)
    for name in form:
        if name != field:
            raise unexpected_field(name, field)
    return files


def missing_file(field: str) -> MissingFile:
    """The refusal of a form without `field`."""
    return MissingFile(f"the form has no file field named {field!r}: send the picture in it, with a name")


def unexpected_field(name: str, field: str) -> UnexpectedField:
    """The refusal of a form with `name` beside `field`."""
    return UnexpectedField(
        f"the form has a field {name!r}: send the picture in {field!r} and all else in the address"
    )


def too_many_images(limit: int) -> TooManyImages:
    """The refusal of a batch of more than `limit` pictures."""
    return TooManyImages(
        f"the form has more than {limit} files (GLIMPSE_MAX_BATCH): send them in several requests"
    )


async def _upload(file: UploadFile) -> Upload:
    return Upload(file.filename, await file.read())
