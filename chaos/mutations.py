"""A number in, a picture's file with some harm done to it out: the same one each time."""

import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from PIL import Image

from loadtest import pictures

_SIZE = (96, 72)
_HEAD_BYTES = 128  # where most of what a decoder believes is written
_MOST_STEPS = 4
_MOST_BYTES = 64
# What programs that count bytes get wrong, as big-endian and little-endian fields of 1, 2 and 4 bytes.
_FIELDS = tuple(
    value.to_bytes(size, order)
    for size in (1, 2, 4)
    for value in (0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)
    for order in ("big", "little")
)


@dataclass(frozen=True)
class Mutant:
    """A file that was a picture of this kind."""

    kind: str
    data: bytes


@cache
def seeds() -> dict[str, bytes]:
    """Sound pictures of every accepted format, in the ways that take different code to read."""
    with Image.open(io.BytesIO(pictures.png("cat"))) as small:
        rgb = small.convert("RGB").resize(_SIZE, Image.Resampling.BICUBIC)
    grey, exif = rgb.convert("L"), Image.Exif()
    exif[0x0112] = 6
    frames = {"save_all": True, "append_images": [rgb.rotate(90).convert("P")]}
    return {
        "JPEG": _encode(rgb, "JPEG", exif=exif),
        "JPEG progressive": _encode(rgb, "JPEG", progressive=True),
        "JPEG CMYK": _encode(rgb.convert("CMYK"), "JPEG"),
        "PNG": _encode(rgb, "PNG"),
        "PNG palette": _encode(rgb.convert("P"), "PNG"),
        "PNG alpha": _encode(rgb.convert("RGBA"), "PNG"),
        "PNG 16 bits": _encode(grey.convert("I;16"), "PNG"),
        "BMP": _encode(rgb, "BMP"),
        "BMP palette": _encode(rgb.convert("P"), "BMP"),
        "TIFF": _encode(rgb, "TIFF"),
        "TIFF LZW": _encode(rgb, "TIFF", compression="tiff_lzw"),
        "TIFF JPEG": _encode(rgb, "TIFF", compression="jpeg"),
        "WEBP": _encode(rgb, "WEBP"),
        "WEBP lossless": _encode(rgb.convert("RGBA"), "WEBP", lossless=True),
        "GIF": _encode(rgb.convert("P"), "GIF"),
        "GIF animated": _encode(rgb.convert("P"), "GIF", **frames),
    }


def mutant(number: int) -> Mutant:
    """The one of this number: of each kind in turn, harmed in one to four steps."""
    rng = random.Random(number)  # noqa: S311 - to be repeated, not to be kept secret
    kind = list(seeds())[number % len(seeds())]
    data = bytearray(seeds()[kind])
    for _ in range(rng.randint(1, _MOST_STEPS)):
        rng.choice(_STEPS)(data, rng)
    return Mutant(kind, bytes(data))


def _encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def _place(data: bytearray, rng: random.Random) -> int:
    """Half of the time near the beginning."""
    end = min(len(data), _HEAD_BYTES) if rng.random() < 0.5 else len(data)
    return rng.randrange(end) if end else 0


def _flip_bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 8) if data else 0):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _set_field(data: bytearray, rng: random.Random) -> None:
    at, field = _place(data, rng), rng.choice(_FIELDS)
    data[at : at + len(field)] = field


def _overwrite(data: bytearray, rng: random.Random) -> None:
    at, noise = _place(data, rng), rng.randbytes(rng.randint(1, _MOST_BYTES))
    data[at : at + len(noise)] = noise


def _insert(data: bytearray, rng: random.Random) -> None:
    at = _place(data, rng)
    data[at:at] = rng.randbytes(rng.randint(1, _MOST_BYTES))


def _remove(data: bytearray, rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.randint(1, _MOST_BYTES)]


def _repeat(data: bytearray, rng: random.Random) -> None:
    at = _place(data, rng)
    data[at:at] = data[at : at + rng.randint(1, _MOST_BYTES)] * rng.randint(1, 100)


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[_place(data, rng) :]


def _join_another(data: bytearray, rng: random.Random) -> None:
    other = rng.choice(list(seeds().values()))
    data[_place(data, rng) :] = other[rng.randrange(len(other)) :]


_STEPS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip_bits,
    _set_field,
    _overwrite,
    _insert,
    _remove,
    _repeat,
    _cut,
    _join_another,
)
