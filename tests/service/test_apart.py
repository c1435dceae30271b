"""Large pictures that come at the same time, through real processes."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service import apart
from service.apart import DecodersApart, Heavy
from service.app import create_app
from service.bundle import InputSpec
from service.errors import HungryImage, ImageTooLarge, Overloaded, SlowImage, UndecodableImage
from service.imaging import decode
from service.parts import parts_of
from service.settings import Settings
from service.trace import Trace
from service.turn import Pixels
from tests.support import encode, gradient

SIZE = InputSpec(height=32, width=24)
LARGE = InputSpec(height=2400, width=2400)
PHOTO = encode(gradient(3000, 2000), "JPEG")


@contextmanager
def started() -> Iterator[DecodersApart]:
    made = DecodersApart(Settings(max_wait_ms=10_000, decode_seconds=60))
    made.start()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def decoders() -> Iterator[DecodersApart]:
    with started() as made:
        yield made


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> Iterator[DecodersApart]:
    """With too little memory for large photos at LARGE in the small process."""
    monkeypatch.setattr(apart, "ONE_PASS_BYTES", 25_000_000)
    with started() as made:
        yield made


@pytest.fixture(scope="module")
def large_photo() -> bytes:
    return encode(gradient(5000, 4900), "JPEG")


def decoded(decoders: DecodersApart, data: bytes, size: InputSpec = SIZE) -> Pixels:
    return asyncio.run(decoders.decode(Heavy(data, is_header_read=False), size, Trace()))


def in_order(decoders: DecodersApart, pictures: dict[str, bytes]) -> list[str]:
    """All at once; their names as they are done."""
    done: list[str] = []

    async def note(name: str, data: bytes) -> None:
        await decoders.decode(Heavy(data, is_header_read=False), SIZE, Trace())
        done.append(name)

    async def send() -> None:
        await asyncio.gather(*(note(*pair) for pair in pictures.items()))

    asyncio.run(send())
    return done


@pytest.mark.parametrize("data", [PHOTO, encode(gradient(3000, 2000)), encode(gradient(), "WEBP")])
def test_pixels_are_those_of_the_decoder(decoders: DecodersApart, data: bytes) -> None:
    assert np.array_equal(decoded(decoders, data), decode(data, SIZE.height, SIZE.width))


def test_photos_wait_for_no_slow_picture(decoders: DecodersApart) -> None:
    slow = encode(Image.effect_noise((5000, 5000), 50), compress_level=1)
    for data in (PHOTO, encode(gradient())):  # until both processes are there
        decoded(decoders, data)
    names = ("slow", "first", "second", "third")
    done = in_order(decoders, {name: slow if name == "slow" else PHOTO for name in names})
    assert done == ["first", "second", "third", "slow"]


def test_two_photos_are_decoded_at_a_time(decoders: DecodersApart) -> None:
    in_order(decoders, {"one": PHOTO, "other": PHOTO})
    assert all(decoder.lane._mean_seconds > 0 for decoder in (decoders._any, decoders._one_pass))


def test_photo_for_which_the_small_process_has_no_memory_is_decoded_by_the_other(
    little: DecodersApart, large_photo: bytes
) -> None:
    with pytest.raises(HungryImage):
        little._one_pass.sandbox.decode(large_photo, LARGE.height, LARGE.width)
    expected = decode(large_photo, LARGE.height, LARGE.width)
    assert np.array_equal(decoded(little, large_photo, LARGE), expected)


def test_photo_that_the_small_process_leaves_is_refused_where_the_other_has_too_much(
    little: DecodersApart, large_photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(little._any.lane, "_unfinished", 10)
    monkeypatch.setattr(little._any.lane, "_mean_seconds", 100.0)
    with pytest.raises(Overloaded):
        decoded(little, large_photo, LARGE)


def test_photo_is_decoded_by_the_other_where_the_small_process_can_not_be_started(
    decoders: DecodersApart, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("no process")

    monkeypatch.setattr(decoders._one_pass.sandbox, "start", fail)
    assert decoded(decoders, PHOTO).shape == (SIZE.height, SIZE.width, 3)


def test_file_that_does_not_fit_the_small_process_is_left_to_the_other(
    decoders: DecodersApart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders._one_pass, "memory", len(PHOTO))
    decoders._one_pass.sandbox.close()
    decoded(decoders, PHOTO)
    assert decoders._one_pass.sandbox._process is None


def test_what_the_other_could_not_decode_either_is_tried_once(decoders: DecodersApart) -> None:
    decoders._any.sandbox.close()
    with pytest.raises(UndecodableImage):
        decoded(decoders, PHOTO[: len(PHOTO) // 2])
    with pytest.raises(ImageTooLarge, match="GLIMPSE_MAX_PIXELS"):
        decoded(decoders, encode(Image.new("RGB", (8000, 7000)), "JPEG"))
    decoders._one_pass.sandbox._seconds = 0.0
    with pytest.raises(SlowImage):
        decoded(decoders, PHOTO)
    assert decoders._any.sandbox._process is None


def test_service_that_can_not_start_one_process_leaves_no_other(
    artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(Settings(artifacts=artifacts))
    both = parts_of(app).engine._apart
    started: list[subprocess.Popen[bytes]] = []

    def fail() -> None:
        started.append(both._any.sandbox.start())
        raise OSError("no process")

    async def serve() -> None:
        async with app.router.lifespan_context(app):
            pass

    monkeypatch.setattr(both._one_pass.sandbox, "start", fail)
    with pytest.raises(OSError, match="no process"):
        asyncio.run(serve())
    assert started[0].poll() is not None
