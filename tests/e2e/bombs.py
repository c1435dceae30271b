"""Pictures that are made to hurt whoever decodes them, and what may be answered to each."""

import struct
import zlib

from PIL import Image

from tests.support import PICTURES, encode, gradient

CAT = (PICTURES / "cat.png").read_bytes()
JPEG = encode(gradient(320, 240), "JPEG", quality=90)


def chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


def scan_bomb() -> bytes:
    """A small progressive JPEG whose last scan is repeated 50,000 times."""
    data = encode(gradient(64, 64), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 50_000 + b"\xff\xd9"


def cyclic_tiff() -> bytes:
    """A TIFF whose one directory names itself as the next."""
    data = bytearray(encode(gradient(), "TIFF"))
    (offset,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, offset)
    struct.pack_into("<I", data, offset + 2 + 12 * entries, offset)
    return bytes(data)


def cyclic_exif() -> bytes:
    """A JPEG whose EXIF directory names itself, as its own sub-directory too."""
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    tiff = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + entry + struct.pack("<I", 8)
    exif = b"Exif\0\0" + tiff
    return JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + JPEG[2:]


def slow_webp() -> bytes:
    """A WebP of 50 megapixels: libwebp and Pillow hold four copies of it."""
    return encode(Image.new("RGB", (8000, 6000), "teal"), "WEBP", method=0, quality=1)


def exif_flood() -> bytes:
    """A small JPEG behind 850,000 pieces of EXIF, which Pillow would join one by one."""
    return JPEG[:2] + b"\xff\xe1\0\x09Exif\0\0a" * 850_000 + JPEG[2:]


def comment_flood() -> bytes:
    """A small JPEG behind 2,300,000 empty comments."""
    return JPEG[:2] + b"\xff\xfe\0\x02" * 2_300_000 + JPEG[2:]


def gif_comment_flood() -> bytes:
    """A small GIF with 1,800,000 comments before its pixels."""
    gif = encode(gradient(), "GIF")
    pixels = 13 + 3 * 2 ** ((gif[10] & 7) + 1)
    return gif[:pixels] + b"\x21\xfe\x01a\0" * 1_800_000 + gif[pixels:]


def chunk_flood(kind: bytes, content: bytes) -> bytes:
    """A small PNG with as many chunks of a kind before its pixels as fit into 9 MB."""
    one = chunk(kind, content)
    return CAT[:33] + one * (9_000_000 // len(one)) + CAT[33:]


def tile_flood() -> bytes:
    """A TIFF of a megapixel in a million tiles."""
    side, count = 1000, 1_000_000
    tags = [
        (256, 3, 1, side),
        (257, 3, 1, side),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (277, 3, 1, 1),
    ]
    after = 8 + 2 + 12 * (len(tags) + 4) + 4
    tags += [(322, 3, 1, 1), (323, 3, 1, 1), (324, 4, count, after), (325, 4, count, after + 4 * count)]
    offsets = struct.pack("<I", after + 8 * count) * count
    return tiff(tags) + offsets + struct.pack("<I", 1) * count + b"\x80"


def tiff_of_odd_tags() -> bytes:
    """A TIFF with a hundred unknown tags that say more than the file holds."""
    tags = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    tags += [(277, 3, 1, 1), (278, 3, 1, 8), (279, 4, 1, 64)]
    return tiff(tags + [(1000 + index, 7, 9_000, 8) for index in range(100)]) + bytes(64)


def tiff(tags: list[tuple[int, int, int, int]]) -> bytes:
    """The head of a TIFF with one directory of tags: code, type, count, value or place."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"
PIXEL_ROWS = zlib.compress(b"\0" * (4000 * 3 + 1) * 4000, 9)
HOSTILE: dict[str, tuple[bytes, set[int]]] = {
    "empty": (b"", {400}),
    "text": (b"hello", {415}),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", {415}),
    "pdf": (b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", {415}),
    "eps": (EPS, {415}),
    "png signature": (CAT[:8], {422}),
    "jpeg header": (JPEG[:20], {422}),
    "giant png": (png(50_000, 50_000, chunk(b"IDAT", zlib.compress(b"\0" * 100))), {422}),
    "zero size": (png(0, 0, chunk(b"IDAT", zlib.compress(b""))), {422}),
    "zero bmp": (b"BM" + struct.pack("<IHHIIiiHH", 54, 0, 0, 54, 40, 0, 0, 1, 24) + b"\0" * 24, {422}),
    "pixels missing": (png(4000, 4000, chunk(b"IDAT", zlib.compress(b"\0" * 100))), {422}),
    "black bomb": (png(4000, 4000, chunk(b"IDAT", PIXEL_ROWS)), {200}),
    "zTXt bomb": (png(1, 1, chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 200_000_000, 9))), {422}),
    "iCCP bomb": (png(1, 1, chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * 200_000_000, 9))), {422}),
    "scan bomb": (scan_bomb(), {422}),
    "fill bomb": (b"\xff" * 250_000, {415}),
    "fill bomb of a JPEG": (b"\xff\xd8" + b"\xff" * 250_000, {422}),
    "exif flood": (exif_flood(), {422}),
    "comment flood": (comment_flood(), {422}),
    "gif comment flood": (gif_comment_flood(), {200, 422}),
    "empty chunk flood": (chunk_flood(b"prVt", b""), {200, 422}),
    "text chunk flood": (chunk_flood(b"tEXt", b"a\0b"), {200, 422}),
    "tile flood": (tile_flood(), {200, 422}),
    "cyclic tiff": (cyclic_tiff(), {200, 422}),
    "cyclic exif": (cyclic_exif(), {200}),
    "webp over memory": (slow_webp(), {422}),
}
