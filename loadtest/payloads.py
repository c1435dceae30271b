"""Pictures on disk in, ready multipart bodies out, built once so that the generator only sends."""

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

PICTURES = Path(__file__).parent / "pictures"
_BOUNDARY = "glimpse-load-test"
CONTENT_TYPE = f"multipart/form-data; boundary={_BOUNDARY}"
_PHOTO_SIZE = (640, 480)


@dataclass(frozen=True)
class Payload:
    """A request's body and the name that its times are reported under."""

    name: str
    body: bytes


def build_payloads() -> list[Payload]:
    """CIFAR-10 test pictures as PNG 32x32, and one JPEG of 640x480, each with equal weight."""
    paths = sorted(PICTURES.glob("*.png"))
    payloads = [Payload("png 32x32", _multipart(path.name, path.read_bytes(), "image/png")) for path in paths]
    photo = _multipart("photo.jpg", _photo(paths), "image/jpeg")
    return [*payloads, Payload("jpeg 640x480", photo)]


def _photo(paths: list[Path]) -> bytes:
    """The pictures tiled: as much detail as a real photo of that size, without keeping one."""
    tiles = [Image.open(path).convert("RGB") for path in paths]
    width, height = _PHOTO_SIZE
    photo = Image.new("RGB", _PHOTO_SIZE)
    side = tiles[0].width
    corners = [(x, y) for y in range(0, height, side) for x in range(0, width, side)]
    for index, corner in enumerate(corners):
        photo.paste(tiles[index % len(tiles)], corner)
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _multipart(filename: str, data: bytes, media_type: str) -> bytes:
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    )
    return head.encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()
