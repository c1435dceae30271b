"""Large pictures that come at the same time, through real processes."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from service import apart
from service.apart import DecodersApart, Heavy
from service.bundle import InputSpec
from service.errors import ImageError, ImageTooLarge, UndecodableImage
from service.imaging import decode
from service.settings import Settings
from service.trace import Trace
from service.turn import Pixels
from tests.support import encode, gradient

SIZE = InputSpec(height=32, width=24)
PHOTO = encode(gradient(3000, 2000), "JPEG")


@pytest.fixture
def decoders() -> Iterator[DecodersApart]:
    yield from started()


def started() -> Iterator[DecodersApart]:
    made = DecodersApart(Settings(max_wait_ms=10_000, decode_seconds=60))
    made.start()
    yield made
    made.close()


def decoded(decoders: DecodersApart, data: bytes, size: InputSpec = SIZE) -> Pixels:
    return asyncio.run(decoders.decode(Heavy(data, is_header_read=False), size, Trace()))


@pytest.mark.parametrize("data", [PHOTO, encode(gradient(3000, 2000)), encode(gradient(), "WEBP")])
def test_pixels_are_those_of_the_decoder(decoders: DecodersApart, data: bytes) -> None:
    assert np.array_equal(decoded(decoders, data), decode(data, SIZE.height, SIZE.width))


def test_photo_does_not_wait_for_a_slow_picture(decoders: DecodersApart) -> None:
    slow = encode(Image.effect_noise((6000, 6000), 50), compress_level=1)  # about a second
    done: list[str] = []

    async def note(name: str, data: bytes) -> None:
        await decoders.decode(Heavy(data, is_header_read=False), SIZE, Trace())
        done.append(name)

    async def send() -> None:
        await asyncio.gather(note("slow", slow), note("photo", PHOTO))

    asyncio.run(send())
    assert done == ["photo", "slow"]


def test_photos_that_come_together_use_both_processes(decoders: DecodersApart) -> None:
    for _ in range(10):  # until it knows how long they take
        decoded(decoders, PHOTO)
    used = [Trace() for _ in range(2)]

    async def send() -> None:
        heavy = Heavy(PHOTO, is_header_read=False)
        await asyncio.gather(*(decoders.decode(heavy, SIZE, trace) for trace in used))

    asyncio.run(send())
    assert all(one.lane.wait_seconds == 0 for one in (decoders._any, decoders._plain))
    assert decoders._any.lane._mean_seconds > 0  # the second one went there


@pytest.mark.parametrize("least", [1_000_000, 30_000_000])
def test_photo_for_which_the_small_process_has_no_memory_is_decoded_by_the_other(
    monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    monkeypatch.setattr(apart, "PLAIN_BYTES", least)
    large = InputSpec(height=2400, width=2400)
    data = encode(gradient(5000, 4900), "JPEG")
    for decoders in started():
        assert np.array_equal(decoded(decoders, data, large), decode(data, large.height, large.width))


def test_file_that_does_not_fit_the_small_process_is_left_to_the_other(
    decoders: DecodersApart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "_MOST_PLAIN_FILE", len(PHOTO) - 1)
    decoders._plain.sandbox.close()
    decoded(decoders, PHOTO)
    assert decoders._plain.sandbox._process is None


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (PHOTO[: len(PHOTO) // 2], UndecodableImage),
        (encode(gradient())[:-40], UndecodableImage),
        (encode(Image.new("RGB", (8000, 7000)), "JPEG"), ImageTooLarge),
    ],
)
def test_what_no_process_can_decode_is_refused(
    decoders: DecodersApart, data: bytes, error: type[ImageError]
) -> None:
    with pytest.raises(error):
        decoded(decoders, data)
    assert decoded(decoders, PHOTO).shape == (SIZE.height, SIZE.width, 3)


@pytest.mark.alone
def test_picture_that_takes_too_long_is_not_tried_twice() -> None:
    decoders = DecodersApart(Settings(max_wait_ms=10_000, decode_seconds=0.2))
    decoders.start()
    decoders._any.sandbox.close()
    decoders._plain.sandbox._seconds = 0.0
    with pytest.raises(ImageTooLarge, match="GLIMPSE_DECODE_SECONDS"):
        decoded(decoders, PHOTO)
    assert decoders._any.sandbox._process is None
    decoders.close()
