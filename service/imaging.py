"""Untrusted bytes of a picture in, uint8 pixels at the model's size out; training decodes with it too."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.errors import (
    BrokenHeader,
    HeavyImage,
    ImageError,
    ImageTooLarge,
    UndecodableImage,
    UnsupportedFormat,
)

__all__ = [
    "ACCEPTED_FORMATS",
    "DEFAULT_LIMITS",
    "ImageError",
    "Limits",
    "decode",
    "encode_png",
    "is_plain_jpeg",
]

ACCEPTED_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF8")

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset({5, 6, 7, 8})

# How many times the model's size a JPEG keeps when it decodes at a reduced scale: below 2 its own coarse
# scaling, and not the resize that training saw, would decide the pixels.
_DRAFT_GAP = 2
# Pictures above this are converted band by band: a second copy of 50 megapixels would not fit the memory
# that one request may take.
_BAND_PIXELS = 4_000_000
_REDUCED_GAP = 4  # how many times the model's size such a band keeps before the one resize of all pictures

_JPEG = b"\xff\xd8"
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # but for those within a scan's data
_SCAN, _END, _BARE = b"\xda", b"\xd9", frozenset({b"\x01", b"\xd8"})  # the last have no length
_PLAIN_FRAMES = frozenset({b"\xc0", b"\xc1"})  # the others' pixels come in several passes, or are lossless
_OTHER_FRAMES = frozenset(bytes([code]) for code in range(0xC2, 0xD0)) - {b"\xc4", b"\xc8", b"\xcc"}
_MOST_FILL = 16  # bytes before a marker
_MOST_SCANS = 100  # a camera's progressive JPEG has about ten
_MOST_SEGMENTS = 1000  # before the first scan; a file of 10 MB needs 160 for its metadata

# Whatever its pixels, a larger file may hold so many chunks, tiles or tags that reading them takes seconds.
_LIGHT_BYTES = 256_000
_TILES_A_MEGAPIXEL = 5_000  # as long as a megapixel of PNG takes


@dataclass(frozen=True)
class Limits:
    """What is refused before any pixel is decoded."""

    max_pixels: int = 50_000_000
    max_side: int = 12_000


DEFAULT_LIMITS = Limits()

_TOO_MUCH_MEMORY = "decoding the picture takes too much memory (GLIMPSE_DECODE_BYTES): send a smaller one"


def decode(
    data: bytes, height: int, width: int, limits: Limits = DEFAULT_LIMITS, *, most_work: float | None = None
) -> NDArray[np.uint8]:
    """Decode a picture, turn it upright, put it on white and squash it to the model's size.

    Args:
        data: the picture's file.
        height: of the result.
        width: of the result.
        limits: what is refused.
        most_work: megapixels of PNG, or as much work in another format, above which nothing is decoded.

    Returns:
        uint8 pixels, (height, width, 3), RGB.

    Raises:
        UnsupportedFormat: not a picture, or not in one of ACCEPTED_FORMATS.
        ImageTooLarge: more pixels or a longer side than `limits`.
        UndecodableImage: an accepted format with broken content.
        HeavyImage: sound so far, but over `most_work`, or too large a file to say.
    """
    if most_work is not None and len(data) > _LIGHT_BYTES:
        raise HeavyImage(is_header_read=False)
    if data.startswith(_JPEG):
        _check_jpeg(data)
    image = _open(data)
    with image:
        _check_size(image, limits)
        if most_work is not None and _work(image) > most_work:
            raise HeavyImage(is_header_read=True)
        try:
            return _pixels(image, height, width)
        except ImageError:
            raise
        except MemoryError as error:
            raise ImageTooLarge(_TOO_MUCH_MEMORY) from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ImageTooLarge(f"the picture unpacks to too much: {error}") from error
        # Pillow's parsers let nearly any exception through on broken files (struct.error, SyntaxError, ...).
        except Exception as error:
            raise UndecodableImage(f"the {image.format} picture is broken: {error}") from error


def is_plain_jpeg(data: bytes) -> bool:
    """Whether its first segments are those of a JPEG that is decoded in one pass, as cameras write them."""
    position = len(_JPEG)
    for _ in range(_MOST_SEGMENTS if data.startswith(_JPEG) else 0):
        found = _MARKER.match(data, position, position + _MOST_FILL)
        if found is None or found[1] in _OTHER_FRAMES or found[1] == _SCAN:
            return False
        if found[1] in _PLAIN_FRAMES:
            return True
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return False


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """uint8 pixels, (height, width, 3), RGB, as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=ACCEPTED_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(f"the picture is far over every limit: {error}") from error
    except MemoryError as error:
        raise ImageTooLarge(_TOO_MUCH_MEMORY) from error
    except Exception as error:
        if data.startswith(_SIGNATURES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
            raise BrokenHeader from error
        accepted = ", ".join(ACCEPTED_FORMATS)
        raise UnsupportedFormat(
            f"the data is not a picture in an accepted format: send one of {accepted}"
        ) from error


def _check_size(image: Image.Image, limits: Limits) -> None:
    width, height = image.size
    if width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"the picture has {width} x {height} = {width * height} pixels, more than {limits.max_pixels} "
            "(GLIMPSE_MAX_PIXELS): send a smaller one"
        )
    if max(width, height) > limits.max_side:
        raise ImageTooLarge(
            f"the picture is {width} x {height}, with a side over {limits.max_side} "
            "(GLIMPSE_MAX_SIDE): send a smaller one"
        )


def _check_jpeg(data: bytes) -> None:
    """A small file has room for thousands of scans, each over all the pixels, and of segments.

    Pillow joins EXIF segments in a time that grows with the square of their number.
    """
    markers = _markers(data)
    for count, marker in enumerate(markers):
        if marker == _SCAN:
            break
        if count == _MOST_SEGMENTS:
            raise UndecodableImage(
                f"the JPEG picture has more than {_MOST_SEGMENTS} segments of metadata: save it without"
            )
    # Looking for two bytes is quick. They are also in what phones append, which is no part of the picture.
    if _count_pairs(data, b"\xff" + _SCAN) <= _MOST_SCANS:
        return
    scans = 1
    for marker in markers:
        scans += marker == _SCAN
        if scans > _MOST_SCANS:
            raise UndecodableImage(
                f"the JPEG picture has more than {_MOST_SCANS} scans: save it as a plain one"
            )


def _count_pairs(data: bytes, pair: bytes) -> int:
    """As data.count(pair) where there is data; in a tenth of its time on a JPEG, which is full of 0xff."""
    (wanted,) = np.frombuffer(pair, np.uint16)
    count = 0
    for start in (0, 1):
        pairs = np.frombuffer(data, np.uint16, (len(data) - start) // 2, start)
        count += int(np.count_nonzero(pairs == wanted))
    return count


def _markers(data: bytes) -> Iterator[bytes]:
    """The code of each marker up to the picture's end, as a decoder finds them."""
    position = len(_JPEG)
    while (found := _MARKER.search(data, position)) and found[1] != _END:
        yield found[1]
        position = found.end()
        if found[1] not in _BARE:
            position += int.from_bytes(data[position : position + 2], "big")


def _work(image: Image.Image) -> float:
    """About how long decoding takes, in megapixels of PNG; measured: a baseline JPEG's take a tenth."""
    megapixels = image.width * image.height / 1e6
    plain_jpeg = image.format in ("JPEG", "MPO") and not image.info.get("progressive")
    return (megapixels / 10 if plain_jpeg else megapixels) + len(
        getattr(image, "tile", ())
    ) / _TILES_A_MEGAPIXEL


def _pixels(image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
    # A camera's 12 megapixels need not all be decoded for 32 x 32; only JPEG can, others ignore it.
    image.draft(None, (width * _DRAFT_GAP, height * _DRAFT_GAP))
    image.load()
    orientation = _orientation(image)
    size = (height, width) if orientation in _SIDEWAYS else (width, height)
    # Turning is last because it copies: by now there is little to copy.
    picture = _on_white(_resize(_in_bands(image, size), size))
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
    return np.asarray(picture)


def _orientation(image: Image.Image) -> int:
    try:
        exif = image.getexif()
        # Not by `get`, which raises within: an error collects all frames above it, a tenth of the decoding.
        return int(exif[_EXIF_ORIENTATION]) if _EXIF_ORIENTATION in exif else 1
    except Exception:  # noqa: BLE001 - broken EXIF is no reason to refuse good pixels
        return 1


def _in_bands(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture in a mode whose samples may be averaged; a large one reduced to a few times `size`."""
    factor = max(1, min(image.width // (_REDUCED_GAP * size[0]), image.height // (_REDUCED_GAP * size[1])))
    if factor == 1 or image.width * image.height <= _BAND_PIXELS:
        return _resizable(image)
    rows = factor * max(1, _BAND_PIXELS // (factor * image.width))
    reduced = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        band.info = image.info
        reduced.paste(_on_white(_resizable(band).reduce(factor)), (0, top // factor))
    return reduced


def _resizable(image: Image.Image) -> Image.Image:
    """Any mode to one whose samples may be averaged: L, LA, RGB, RGBA or CMYK."""
    if image.mode.startswith("I;16"):
        # The high byte of each sample, as a view: a large scan needs no second copy of itself.
        high = np.asarray(image).astype("<u2", copy=False).view(np.uint8)[:, 1::2]
        return Image.fromarray(np.ascontiguousarray(high))
    if image.mode in ("I", "F"):
        raise UndecodableImage(
            "the picture has 32-bit samples, whose range is not known: convert it to 8 or 16 bits"
        )
    if image.mode in ("RGB", "RGBA", "LA", "L", "CMYK") and "transparency" not in image.info:
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in ("RGBA", "LA"):
        return image if image.mode == "RGB" else image.convert("RGB")
    picture = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
