"""A JPEG file in, what its segments say of it out, before a decoder has seen it."""

import re
import sys
from collections.abc import Iterator
from itertools import islice

import numpy as np

from service.errors import UndecodableImage

JPEG = b"\xff\xd8"  # how each begins
# But for those within a scan's data. Of the fill bytes before it only the last is looked at: a search that
# tried them all from each of them would take minutes for a file that is nothing else.
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_SCAN, _END, _BARE = b"\xda", b"\xd9", frozenset({b"\x01", b"\xd8"})  # the last have no length
_SEQUENTIAL = frozenset({b"\xc0", b"\xc1"})
_OTHER_FRAMES = frozenset(bytes([code]) for code in range(0xC2, 0xD0)) - {b"\xc4", b"\xc8", b"\xcc"}
_MOST_FILL = 16  # bytes before a marker
_MOST_SCANS = 100  # a camera's progressive JPEG has about ten
_MOST_SEGMENTS = 1000  # a file of 10 MB needs 160 for its metadata, and ten scans some tables each


def check_jpeg(data: bytes) -> None:
    """Refuse what takes long whatever its pixels: a small file has room for thousands of scans and segments.

    Pillow joins EXIF segments in a time that grows with the square of their number.

    Raises:
        UndecodableImage: more scans, each over all the pixels, or more segments than pictures have.
    """
    # Looking for two bytes is quick. They are also in what phones append, which is no part of the picture.
    may_have_many = _count_pairs(data, b"\xff" + _SCAN) > _MOST_SCANS
    scans = 0
    for count, (marker, _) in enumerate(_segments(data)):
        scans += marker == _SCAN
        if scans and not may_have_many:
            break
        if scans > _MOST_SCANS:
            raise UndecodableImage(
                f"the JPEG picture has more than {_MOST_SCANS} scans: save it as a plain one"
            )
        if count == _MOST_SEGMENTS:
            raise UndecodableImage(
                f"the JPEG picture has more than {_MOST_SEGMENTS} segments of metadata: save it without"
            )


def _count_pairs(data: bytes, pair: bytes) -> int:
    """As data.count(pair) where there is data; in a tenth of its time on a JPEG, which is full of 0xff."""
    (wanted,) = np.frombuffer(pair, np.uint16)
    count = 0
    for start in (0, 1):
        pairs = np.frombuffer(data, np.uint16, (len(data) - start) // 2, start)
        count += int(np.count_nonzero(pairs == wanted))
    return count


def is_one_pass(data: bytes) -> bool:
    """Whether this is a JPEG as cameras write them, with all its pixels in one scan.

    Others are kept whole while they are decoded: by its coefficients, a picture takes 6 bytes a pixel.
    """
    if not data.startswith(JPEG):
        return False
    components = None
    for marker, start in islice(_segments(data, _MOST_FILL), _MOST_SEGMENTS):
        if marker in _OTHER_FRAMES:
            return False
        if marker in _SEQUENTIAL:  # length, depth, height, width
            components = data[start + 7 : start + 8]
        if marker == _SCAN:  # length
            return data[start + 2 : start + 3] == components
    return False


def _segments(data: bytes, most_between: int = sys.maxsize) -> Iterator[tuple[bytes, int]]:
    """The code of each marker up to the picture's end, as a decoder finds it, and where its segment begins.

    Args:
        data: the file.
        most_between: bytes from a segment's end within which the next one begins; else it was the last.
    """
    position = len(JPEG)
    while found := _MARKER.search(data, position, min(position + most_between, len(data))):
        if found[1] == _END:
            return
        yield found[1], found.end()
        position = found.end()
        if found[1] not in _BARE:
            position += int.from_bytes(data[position : position + 2], "big")
