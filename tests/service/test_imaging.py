import io
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from service.errors import HeavyImage, ImageTooLarge, UndecodableImage, UnsupportedFormat
from service.imaging import Limits, decode
from tests.support import encode, gradient

SIZE = (30, 40)  # height, width of gradient()
LOSSY = 6  # of 255; what a JPEG of high quality may change in a smooth picture


def difference(ours: np.ndarray, image: Image.Image) -> int:
    return int(np.abs(ours.astype(int) - np.asarray(image.convert("RGB")).astype(int)).max())


@pytest.mark.parametrize(
    ("file_format", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True})]
)
def test_lossless_format_gives_its_very_pixels(file_format: str, options: dict[str, bool]) -> None:
    assert difference(decode(encode(gradient(), file_format, **options), *SIZE), gradient()) == 0


def test_jpeg_gives_its_pixels_closely() -> None:
    data = encode(gradient(), "JPEG", quality=100, subsampling=0)
    assert difference(decode(data, *SIZE), gradient()) <= LOSSY


def test_gif_gives_its_first_frame() -> None:
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    data = encode(red, "GIF", save_all=True, append_images=[blue])
    assert decode(data, 8, 8)[0, 0].tolist() == [255, 0, 0]


def test_other_size_is_resized_bilinearly() -> None:
    expected = gradient().resize((12, 16), Image.Resampling.BILINEAR)
    assert difference(decode(encode(gradient()), 16, 12), expected) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_picture_upright(orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = gradient().transpose(undo[orientation]) if orientation in undo else gradient()
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert difference(decode(encode(stored, "PNG", exif=exif), *SIZE), gradient()) == 0


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparent_pixels_are_white(mode: str) -> None:
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 0)).convert("LA" if mode == "LA" else "RGBA")
    data = encode(image.quantize() if mode == "PA" else image)
    assert decode(data, 4, 4).min() == 255


def test_transparent_colour_of_an_opaque_mode_is_white() -> None:
    data = encode(Image.new("RGB", (4, 4), (1, 2, 3)), transparency=(1, 2, 3))
    assert decode(data, 4, 4).min() == 255


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    data = encode(Image.fromarray(np.array([[0, 257 * 100], [65535, 257 * 200]], np.uint16)))
    assert decode(data, 2, 2)[:, :, 0].tolist() == [[0, 100], [255, 200]]


def test_cmyk_jpeg_keeps_its_colours() -> None:
    data = encode(gradient().convert("CMYK"), "JPEG", quality=100, subsampling=0)
    assert difference(decode(data, *SIZE), gradient()) <= LOSSY


def test_one_bit_picture_is_black_and_white() -> None:
    data = encode(Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1"))
    assert decode(data, 1, 2)[0].tolist() == [[0, 0, 0], [255, 255, 255]]


def test_large_jpeg_decodes_to_nearly_the_same_pixels_as_the_whole() -> None:
    photo = gradient(4000, 3000)
    whole = photo.resize((32, 32), Image.Resampling.BILINEAR)
    assert difference(decode(encode(photo, "JPEG", quality=95), 32, 32), whole) <= LOSSY


@pytest.mark.parametrize("data", [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7"])
def test_no_picture_is_an_unsupported_format(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat, match="send one of JPEG"):
        decode(data, 4, 4)


def test_other_picture_format_is_unsupported() -> None:
    with pytest.raises(UnsupportedFormat):
        decode(encode(gradient(), "PPM"), 4, 4)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_picture_is_undecodable(file_format: str, share: float) -> None:
    data = encode(gradient(), file_format)
    with pytest.raises(UndecodableImage):
        decode(data[: int(share * len(data))], *SIZE)


def test_thirty_two_bit_samples_are_refused_with_advice() -> None:
    with pytest.raises(UndecodableImage, match="convert it to 8 or 16 bits"):
        decode(encode(Image.new("F", (4, 4)), "TIFF"), 4, 4)


def test_too_many_pixels_name_the_limit_and_its_setting() -> None:
    with pytest.raises(ImageTooLarge, match=r"1200 pixels, more than 1000 \(GLIMPSE_MAX_PIXELS\)"):
        decode(encode(gradient()), 4, 4, Limits(max_pixels=1000))


def test_too_long_side_names_the_limit_and_its_setting() -> None:
    with pytest.raises(ImageTooLarge, match=r"over 35 \(GLIMPSE_MAX_SIDE\)"):
        decode(encode(gradient()), 4, 4, Limits(max_side=35))


def test_claimed_giant_is_refused_before_it_is_decoded() -> None:
    data = bytearray(encode(gradient()))
    data[16:24] = (50_000).to_bytes(4) * 2  # IHDR's width and height
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    with pytest.raises(ImageTooLarge):
        decode(bytes(data), 4, 4)


def test_large_sixteen_bit_picture_needs_little_more_memory_than_itself() -> None:
    data = encode(Image.fromarray(np.zeros((4000, 4000), np.uint16)))
    tracemalloc.start()
    decode(data, 32, 32)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 2 * 4000 * 4000


def test_extreme_aspect_ratio_decodes() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (1, 4000), "red").save(buffer, "PNG")
    assert decode(buffer.getvalue(), 4, 4)[2, 2].tolist() == [255, 0, 0]


def test_what_a_phone_appends_to_a_jpeg_is_no_part_of_it() -> None:
    data = encode(gradient(), "JPEG", quality=100, subsampling=0)
    film = b"\xff\xda\0\x02" * 1000  # as in a film, where such bytes come by chance
    assert np.array_equal(decode(data + film, *SIZE), decode(data, *SIZE))


def test_jpeg_of_too_many_segments_is_refused_before_they_are_read() -> None:
    data = encode(gradient(), "JPEG")
    with pytest.raises(UndecodableImage, match="more than 1000 segments"):
        decode(data[:2] + b"\xff\xfe\0\x02" * 1001 + data[2:], *SIZE)


@pytest.mark.parametrize("remark", [b"\xff\xd9", b"\xff\xd9.", b"", b"."], ids=repr)
def test_end_of_picture_within_a_comment_hides_no_scans(remark: bytes) -> None:
    data = encode(gradient(64, 64), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    comment = b"\xff\xfe\0" + bytes([2 + len(remark)]) + remark
    with pytest.raises(UndecodableImage, match="more than 100 scans"):
        decode(data[:last] + comment + data[last:-2] * 200 + b"\xff\xd9", *SIZE)


@pytest.mark.parametrize(
    ("image", "file_format"), [(Image.effect_noise((900, 900), 90), "PNG"), (gradient(3000, 2000), "WEBP")]
)
def test_large_file_and_large_picture_are_heavy_work(image: Image.Image, file_format: str) -> None:
    data = encode(image, file_format)
    with pytest.raises(HeavyImage):
        decode(data, *SIZE, most_work=1.0)
    assert decode(data, *SIZE).shape == (*SIZE, 3)
