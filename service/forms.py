"""A multipart form in, the pictures in it out."""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.errors import MalformedMultipart, MissingFile, TooManyImages, UnexpectedField

_MOST_FIELDS = 20  # that are no files; none is asked for
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})  # Python knows others that decode to no text

# What curl, browsers and HTTP libraries send for files with plain names. All else is for the parser, which
# refuses long lines, too.
_PLAIN_TYPE = re.compile(r"multipart/form-data; ?boundary=([\w.-]{1,70})", re.ASCII)
_LAST = b"--\r\n"  # after the last edge; its line need not end
_PLAIN_HEAD = re.compile(
    rb'\r\nContent-Disposition: form-data; name="(\w+)"; filename="([ !#-\[\]-~]{1,255})"'
    rb"(?:\r\nContent-Type: [\w/.+-]{1,255})?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Upload:
    """A picture as it was sent; a bare body has no file name."""

    filename: str | None
    data: bytes


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a multipart one."""
    return content_type.lower().startswith("multipart/")


async def read_form(content_type: str, body: bytes, field: str, max_files: int) -> list[Upload]:
    """The files of `field` in a form, in the order sent; it may have no other field.

    Raises:
        BodyError: it is malformed, has no such file, another field, or more than `max_files` files.
    """
    plain = _read_plain(content_type, body, field, max_files)
    if plain is not None:
        return plain
    form = await _parse(content_type, body, max_files)
    try:
        return [Upload(file.filename, await file.read()) for file in _files(form, field)]
    finally:
        await form.close()


def _read_plain(content_type: str, body: bytes, field: str, max_files: int) -> list[Upload] | None:
    """The files of a form that has nothing else, and nothing to parse; a tenth of the parser's time."""
    kind = _PLAIN_TYPE.fullmatch(content_type)
    if kind is None:
        return None
    edge = b"\r\n--" + kind[1].encode("ascii")
    if not body.startswith(edge[2:]):
        return None
    uploads: list[Upload] = []
    after = len(edge) - 2  # where an edge ends
    while len(body) - after > len(_LAST) or body[after:] not in (_LAST, _LAST[:2]):
        start = body.find(b"\r\n\r\n", after)
        end = body.find(edge, start + 4)
        head = _PLAIN_HEAD.fullmatch(body, after, max(0, start))
        if head is None or head[1] != field.encode("ascii") or end < 0 or len(uploads) == max_files:
            return None
        uploads.append(Upload(head[2].decode("ascii"), body[start + 4 : end]))
        after = end + len(edge)
    return uploads or None


class _InMemoryParser(MultiPartParser):
    """The body is in memory already; copying its parts to disk would only cost time."""

    spool_max_size = 2**62


async def _parse(content_type: str, body: bytes, max_files: int) -> FormData:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    _, options = parse_options_header(content_type)
    charset = options.get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower() not in _CHARSETS:
        raise MalformedMultipart(f"the form's charset is {charset!r}: send it in utf-8, as forms are sent")
    headers = Headers({"content-type": content_type})
    parser = _InMemoryParser(headers, stream(), max_files=max_files, max_fields=_MOST_FIELDS)
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
