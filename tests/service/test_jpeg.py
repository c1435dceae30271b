import time

import pytest
from PIL import Image

from service.errors import UndecodableImage
from service.jpeg import check_jpeg, is_one_pass
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


@pytest.mark.parametrize(
    "file", [b"\xff" * 250_000, b"\xff\x00" * 125_000, b"\xff\xd0" * 125_000, b"." * 250_000]
)
def test_file_of_fill_is_looked_at_in_a_time_that_grows_with_its_length(file: bytes) -> None:
    began = time.process_time()
    check_jpeg(b"\xff\xd8" + file)
    assert time.process_time() - began < 1  # minutes, where each fill byte has all behind it tried


def test_segments_between_scans_count_too() -> None:
    many = b"\xff\xfe\0\2" * 1001 + b"\xff\xfe\0\xf6" + b"\xff\xda" * 122
    with pytest.raises(UndecodableImage, match="more than 1000 segments"):
        check_jpeg(COLOURS[:-2] + many + b"\xff\xd9")
