"""Every way in which an accepted picture may be stored, against pixels that are known without our decoder."""

import io
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.imaging import decode
from tests.support import encode, gradient

SIZE = (30, 40)  # height, width of gradient()
ROUNDING = 1  # of 255
LOSSY = 6  # what a JPEG of high quality may change in a smooth picture


def pixels(image: Image.Image) -> NDArray[np.float64]:
    return np.asarray(image.convert("RGB"), np.float64)


def fading() -> Image.Image:
    """gradient() with an alpha that falls from left to right."""
    image = gradient().convert("RGBA")
    alpha = np.broadcast_to(np.linspace(255, 0, image.width).astype(np.uint8), (image.height, image.width))
    image.putalpha(Image.fromarray(np.ascontiguousarray(alpha)))
    return image


def on_white(image: Image.Image) -> NDArray[np.float64]:
    """By the definition of alpha, in floating point."""
    values = np.asarray(image.convert("RGBA"), np.float64)
    alpha = values[..., 3:] / 255
    composed: NDArray[np.float64] = values[..., :3] * alpha + 255 * (1 - alpha)
    return composed


def assert_close(data: bytes, expected: NDArray[np.float64], tolerance: float) -> None:
    height, width = expected.shape[:2]
    assert np.abs(decode(data, height, width) - expected).max() <= tolerance


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
def test_partly_transparent_picture_is_composed_on_white(file_format: str) -> None:
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    assert_close(encode(fading(), file_format, **options), on_white(fading()), ROUNDING)


def test_grey_with_alpha_is_composed_on_white() -> None:
    image = fading().convert("LA")
    assert_close(encode(image), on_white(image), ROUNDING)


def test_palette_with_an_alpha_for_each_colour_is_composed_on_white() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    image.putdata([0, 1, 2])
    data = encode(image, transparency=bytes([255, 128, 0]))
    share = 128 / 255
    green = [255 * (1 - share), 200 * share + 255 * (1 - share), 255 * (1 - share)]
    assert_close(data, np.array([[[200, 0, 0], green, [255, 255, 255]]]), ROUNDING)


def test_palette_with_one_transparent_colour_is_white_there() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([200, 0, 0, 0, 200, 0])
    image.putdata([0, 1])
    assert_close(encode(image, "GIF", transparency=1), np.array([[[200, 0, 0], [255, 255, 255]]]), ROUNDING)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette_of_any_depth_gives_its_colours(bits: int) -> None:
    image = gradient().quantize(2**bits)
    assert_close(encode(image, bits=bits), pixels(image), 0)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_of_any_compression_gives_its_pixels(compression: str) -> None:
    assert_close(encode(gradient(), "TIFF", compression=compression), pixels(gradient()), 0)


def test_cmyk_tiff_gives_its_colours() -> None:
    assert_close(encode(gradient().convert("CMYK"), "TIFF"), pixels(gradient()), ROUNDING)


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_tiff_of_any_byte_order_is_scaled(order: str) -> None:
    samples = np.array([[0, 257 * 100], [65535, 257 * 200]], f"{order}u2")
    header = b"II*\0" if order == "<" else b"MM\0*"
    data = header + _tiff_body(samples, order)
    assert decode(data, 2, 2)[:, :, 0].tolist() == [[0, 100], [255, 200]]


def _tiff_body(samples: NDArray[np.uint16], order: str) -> bytes:
    """The rest of an uncompressed TIFF file; Pillow writes only the byte order of this machine."""
    height, width = samples.shape
    name = "little" if order == "<" else "big"
    tags = {
        256: width,
        257: height,
        258: 16,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: height,
        279: samples.nbytes,
    }
    strip = samples.tobytes()
    entries = b""
    for tag, value in tags.items():
        entries += tag.to_bytes(2, name) + (3).to_bytes(2, name) + (1).to_bytes(4, name)
        entries += value.to_bytes(2, name) + bytes(2)
    directory = len(tags).to_bytes(2, name) + entries + bytes(4)
    return (8 + len(strip)).to_bytes(4, name) + strip + directory


def test_sixteen_bit_colour_is_scaled_not_clipped() -> None:
    row = b"\0" + b"".join((257 * value).to_bytes(2) for value in (10, 100, 250))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)
        for kind, content in (
            (b"IHDR", (1).to_bytes(4) + (1).to_bytes(4) + bytes([16, 2, 0, 0, 0])),
            (b"IDAT", zlib.compress(row)),
            (b"IEND", b""),
        )
    )
    assert decode(data, 1, 1).tolist() == [[[10, 100, 250]]]


def test_progressive_jpeg_gives_its_pixels() -> None:
    data = encode(gradient(), "JPEG", quality=100, subsampling=0, progressive=True)
    assert_close(data, pixels(gradient()), LOSSY)


def test_grey_jpeg_gives_its_pixels() -> None:
    grey = gradient().convert("L")
    assert_close(encode(grey, "JPEG", quality=100), pixels(grey), LOSSY)


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "TIFF", "MPO", "PNG"])
def test_first_of_several_pictures_is_taken(file_format: str) -> None:
    red, *others = (Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "green"))
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = encode(red, file_format, save_all=True, append_images=others, **options)
    assert_close(data, pixels(red), LOSSY)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"])
@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1)])
def test_smallest_and_thinnest_pictures_decode(file_format: str, size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (255, 0, 0))
    assert_close(encode(image, file_format), pixels(image.resize((4, 4))), LOSSY)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK"])
def test_large_picture_of_any_mode_is_averaged_as_a_small_one(mode: str) -> None:
    """Large ones go band by band; what they average to must not show where a band ends."""
    large = (2100, 2000)
    colour = fading().resize(large)
    image = _sixteen_bits(colour) if mode == "I;16" else colour.convert("RGB" if mode == "P" else mode)
    image = image.quantize(64) if mode == "P" else image
    eight_bits = colour.convert("L") if mode == "I;16" else image
    whole = Image.fromarray(on_white(eight_bits).round().astype(np.uint8))
    expected = pixels(whole.resize((50, 50), Image.Resampling.BILINEAR))
    assert_close(encode(image, "TIFF" if mode == "CMYK" else "PNG"), expected, 3)


def _sixteen_bits(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def test_exif_of_a_large_jpeg_still_turns_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = gradient(3000, 2000)
    upright = stored.transpose(Image.Transpose.ROTATE_270)
    data = encode(stored, "JPEG", quality=95, exif=exif)
    assert_close(data, pixels(upright.resize((20, 30), Image.Resampling.BILINEAR)), LOSSY)


def test_broken_exif_is_no_reason_to_refuse() -> None:
    buffer = io.BytesIO()
    gradient().save(buffer, "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert_close(buffer.getvalue(), pixels(gradient()), 0)
