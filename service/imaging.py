"""Untrusted bytes of a picture in, uint8 pixels at the model's size out; training decodes with it too."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.errors import (
    BrokenHeader,
    HeavyImage,
    HungryImage,
    ImageError,
    ImageTooLarge,
    UndecodableImage,
    UnsupportedFormat,
)
from service.jpeg import JPEG, check_jpeg

__all__ = ["ACCEPTED_FORMATS", "DEFAULT_LIMITS", "ImageError", "Limits", "decode", "encode_png"]

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
    if data.startswith(JPEG):
        check_jpeg(data)
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
            raise HungryImage(_TOO_MUCH_MEMORY) from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ImageTooLarge(f"the picture unpacks to too much: {error}") from error
        # Pillow's parsers let nearly any exception through on broken files (struct.error, SyntaxError, ...).
        except Exception as error:
            raise UndecodableImage(f"the {image.format} picture is broken: {error}") from error


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
        raise HungryImage(_TOO_MUCH_MEMORY) from error
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
    except MemoryError:
        raise
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
