"""A request's body in, encoded pictures out; everything over a limit is refused while it arrives."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from service.errors import BodyTooLarge, EmptyBody, MalformedMultipart, MissingFile, TooManyImages
from service.settings import Settings


@dataclass(frozen=True)
class Upload:
    """A picture as it was sent; a bare body has no file name."""

    filename: str | None
    data: bytes


async def read_picture(request: Request, settings: Settings) -> Upload:
    """The multipart field `file`, or the whole body when it is no form.

    Raises:
        BodyError: the body is empty, too large, malformed, or without the field.
    """
    body = await _read_body(request, settings.max_body_bytes)
    if not _is_form(request):
        return Upload(None, body)
    form = await _parse_form(request, body, settings.max_batch)
    try:
        files = _files(form, "file")
        if len(files) > 1:
            raise TooManyImages("several fields are named 'file': send one, or several to /classify/batch")
        upload = await _upload(files[0])
    finally:
        await form.close()
    if not upload.data:
        raise EmptyBody("the file in the form is empty: send a picture in it")
    return upload


async def read_pictures(request: Request, settings: Settings) -> list[Upload]:
    """The multipart fields `files`, in the order sent.

    Raises:
        BodyError: as for read_picture, and for more pictures than settings.max_batch.
    """
    body = await _read_body(request, settings.max_body_bytes)
    if not _is_form(request):
        raise MissingFile("a batch is a multipart form: send each picture in a file field named 'files'")
    form = await _parse_form(request, body, settings.max_batch)
    try:
        files = _files(form, "files")
        return [await _upload(file) for file in files]
    finally:
        await form.close()


async def _read_body(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > limit:
            raise _too_large(limit)
    if not received:
        raise EmptyBody("the body is empty: send a picture, bare or as the multipart field 'file'")
    return bytes(received)


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

    try:
        form = await _InMemoryParser(request.headers, stream(), max_files=max_files).parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise TooManyImages(
                f"the form has more than {max_files} files (GLIMPSE_MAX_BATCH): send them in several requests"
            ) from error
        raise MalformedMultipart(f"the multipart body can't be read: {error.message}") from error
    if not body.rstrip().endswith(b"--"):  # the parser takes a body that breaks off for a shorter one
        raise MalformedMultipart("the multipart body breaks off before its last boundary: send it again")
    return form


def _files(form: FormData, field: str) -> list[UploadFile]:
    files = [value for value in form.getlist(field) if isinstance(value, UploadFile)]
    if not files:
        raise MissingFile(f"the form has no file field named {field!r}: send the picture in it, with a name")
    return files


async def _upload(file: UploadFile) -> Upload:
    return Upload(file.filename, await file.read())
