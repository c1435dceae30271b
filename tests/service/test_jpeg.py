import pytest
from PIL import Image

from service.jpeg import is_one_pass
from tests.support import encode, gradient

COLOURS = encode(gradient(), "JPEG")
FRAME, SCAN = COLOURS.index(b"\xff\xc0"), COLOURS.index(b"\xff\xda")


@pytest.mark.parametrize(
    "data",
    [
        COLOURS,
        encode(gradient().convert("L"), "JPEG"),
        encode(Image.new("CMYK", (20, 10)), "JPEG"),
        encode(gradient(), "JPEG", exif=b"Exif\0\0" + 60_000 * b"."),
        encode(gradient(), "JPEG", icc_profile=200_000 * b"\xff"),
        encode(gradient(), "JPEG", restart_marker_blocks=2),
        COLOURS[:FRAME] + b"\xff\xff" + COLOURS[FRAME:],
    ],
)
def test_jpeg_with_all_its_pixels_in_one_scan_is_decoded_in_one_pass(data: bytes) -> None:
    assert is_one_pass(data)


@pytest.mark.parametrize(
    "data",
    [
        encode(gradient(), "JPEG", progressive=True),
        COLOURS[: SCAN + 4] + b"\1" + COLOURS[SCAN + 5 :],  # its first scan is of one colour
        COLOURS[:FRAME],
        COLOURS[:FRAME] + COLOURS[SCAN:],
        COLOURS[:SCAN],
        COLOURS[: FRAME + 5],
        COLOURS[:FRAME] + b"\xff" * 99 + COLOURS[FRAME:],
        b"\xff\xd8" + b"\xff\xfe\0\2" * 1001 + COLOURS[2:],
        b"\xff\xd8" + b"\xff\xfe\0\0" * 9,
        encode(gradient()),
        b"\xff\xd8",
        b"",
    ],
)
def test_what_is_no_such_jpeg_is_left_to_others(data: bytes) -> None:
    assert not is_one_pass(data)
