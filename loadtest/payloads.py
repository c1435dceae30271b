"""A kind of request in, ready bodies out, built before the run so that the generator only sends."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from loadtest import pictures
from loadtest.scenarios import BAD, BATCH, CIFAR, PHONE, WEB

_BOUNDARY = "glimpse-load-test"
_FORM = f"multipart/form-data; boundary={_BOUNDARY}"
_PHONES = 3  # pictures of 3 MB each
_A_BATCH = 16


@dataclass(frozen=True)
class Payload:
    """A request, and what its answer has to be.

    `kind` is what its times are reported under; `shows` has an entry for each picture in it; `code` is the
    error's, where `status` says that there has to be one.
    """

    key: str
    kind: str
    path: str
    content_type: str
    body: bytes
    shows: tuple[str, ...] = ()
    status: int = 200
    code: str | None = None


def build_payloads(kinds: Iterable[str]) -> dict[str, list[Payload]]:
    """Different requests of each kind."""
    return {kind: _BUILDERS[kind]() for kind in kinds}


def for_model(path: str, model: str) -> str:
    """The path that asks `model`; the service's default where it is empty."""
    return f"{path}?{urlencode({'model': model})}" if model else path


def _cifar() -> list[Payload]:
    return [_one(CIFAR, name, pictures.png(name), f"{name}.png") for name in pictures.names()]


def _web() -> list[Payload]:
    size = pictures.WEB_SIZE
    return [_one(WEB, name, pictures.jpeg(name, size), f"{name}.jpg") for name in pictures.names()]


def _phone() -> list[Payload]:
    size = pictures.PHONE_SIZE
    return [
        _one(PHONE, name, pictures.jpeg(name, size), f"{name}.jpg") for name in pictures.names()[:_PHONES]
    ]


def _batch() -> list[Payload]:
    names = pictures.names()
    payloads = []
    for first in range(len(names)):
        shows = tuple(names[(first + index) % len(names)] for index in range(_A_BATCH))
        parts = [("files", f"{name}.png", pictures.png(name)) for name in shows]
        key = f"{BATCH} from {names[first]}"
        payloads.append(Payload(key, BATCH, "/classify/batch", _FORM, _form(parts), shows))
    return payloads


def _bad() -> list[Payload]:
    whole = pictures.png(pictures.names()[0])
    text = _form([("file", "cat.jpg", b"I am not a picture")])
    cut = _form([("file", "cat.png", whole[: len(whole) // 2])])
    nameless = _form([("picture", "cat.png", whole)])
    rows = (
        ("text", _FORM, text, 415, "unsupported_format"),
        ("broken off", _FORM, cut, 422, "undecodable_image"),
        ("wrong field", _FORM, nameless, 422, "missing_file"),
        ("nothing", "image/png", b"", 400, "empty_body"),
        ("half a form", _FORM, text[: len(text) // 2], 400, "malformed_multipart"),
    )
    return [
        Payload(f"{BAD}: {name}", BAD, "/classify", content_type, body, (), status, code)
        for name, content_type, body, status, code in rows
    ]


_BUILDERS: dict[str, Callable[[], list[Payload]]] = {
    CIFAR: _cifar,
    WEB: _web,
    PHONE: _phone,
    BATCH: _batch,
    BAD: _bad,
}


def _one(kind: str, name: str, data: bytes, filename: str) -> Payload:
    body = _form([("file", filename, data)])
    return Payload(f"{kind} {name}", kind, "/classify", _FORM, body, (name,))


def _form(parts: Sequence[tuple[str, str, bytes]]) -> bytes:
    """A multipart body of (field, filename, content)."""
    pieces = []
    for field, filename, data in parts:
        media_type = "image/png" if filename.endswith("png") else "image/jpeg"
        head = (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{filename}"\r\n'
            f"Content-Type: {media_type}\r\n\r\n"
        )
        pieces.append(head.encode() + data + b"\r\n")
    return b"".join(pieces) + f"--{_BOUNDARY}--\r\n".encode()
