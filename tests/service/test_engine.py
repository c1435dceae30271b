"""Pictures that come at the same time, through a real model."""

import asyncio
import gc
import time
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from starlette.requests import ClientDisconnect

from service.app import VERSION
from service.board import Board, Place
from service.errors import ImageError, UndecodableImage, UnsupportedFormat
from service.imaging import Limits
from service.parts import Parts, build_parts
from service.settings import Settings
from service.trace import Trace
from service.turn import Classified, Pixels, Probabilities
from tests.support import PICTURES, encode, gradient

NAMES = ("cat", "ship", "frog", "dog")
STAGES = {"queue", "decode", "infer"}


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    built = build_parts(Settings(max_wait_ms=10_000), VERSION)
    built.engine.start()
    yield built
    built.engine.close()


def classify(parts: Parts, pictures: list[bytes]) -> tuple[list[Classified | BaseException], list[Trace]]:
    """All of them at once, after enough alone for the engine to know how many fit into a turn."""
    classifier = parts.registry.get()
    traces = [Trace() for _ in pictures]

    async def send() -> list[Classified | BaseException]:
        for _ in range(100):
            await parts.engine.classify(classifier, pictures[0], Trace())
        calls = (parts.engine.classify(classifier, *pair) for pair in zip(pictures, traces, strict=True))
        return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(send()), traces


def test_pictures_that_share_a_turn_are_answered_as_if_alone(parts: Parts) -> None:
    pictures = [(PICTURES / f"{name}.png").read_bytes() for name in NAMES]
    together, traces = classify(parts, pictures)
    for picture, answer, trace in zip(pictures, together, traces, strict=True):
        (alone,), _ = classify(parts, [picture])
        assert isinstance(answer, Classified)
        assert isinstance(alone, Classified)
        assert np.array_equal(answer.pixels, alone.pixels)
        assert np.allclose(answer.probabilities, alone.probabilities, atol=1e-5)
        assert set(trace.stages) == STAGES


def test_broken_picture_fails_alone(parts: Parts) -> None:
    cat = (PICTURES / "cat.png").read_bytes()
    first, cut, text, last = classify(parts, [cat, cat[:1000], b"no picture", cat])[0]
    assert isinstance(first, Classified)
    assert isinstance(cut, UndecodableImage)
    assert isinstance(text, UnsupportedFormat)
    assert isinstance(last, Classified)
    assert np.array_equal(first.probabilities, last.probabilities)


@pytest.mark.alone
def test_times_of_a_shared_turn_add_up_to_what_each_waited(parts: Parts) -> None:
    cat = (PICTURES / "cat.png").read_bytes()
    _, traces = classify(parts, [cat] * 4)
    first, *_, last = (sum(trace.stages.values()) for trace in traces)
    assert first == pytest.approx(last, rel=0.5)
    assert len({trace.stages["infer"] for trace in traces}) < len(traces)


async def go_on() -> None:
    """Whoever sent a batch is there, and patient."""


def test_batch_is_answered_in_order_whatever_its_pictures(parts: Parts) -> None:
    classifier = parts.registry.get()
    cat, ship = ((PICTURES / f"{name}.png").read_bytes() for name in ("cat", "ship"))
    heavy = encode(gradient(1500, 1500))
    batch = [cat, b"no picture", heavy, cat[:1000], ship] * 3

    async def send() -> list[Probabilities | ImageError]:
        return await parts.engine.classify_batch(classifier, batch, Trace(), go_on)

    answers = asyncio.run(send())
    for picture, answer in zip(batch, answers, strict=True):
        alone = classify(parts, [cat, picture])[0][1]
        if isinstance(alone, Classified):
            assert isinstance(answer, np.ndarray)
            assert np.allclose(answer, alone.probabilities, atol=1e-5)
        else:
            assert type(answer) is type(alone)


def test_picture_waits_for_one_turn_of_a_batch_that_takes_long_to_decode(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, small, large = parts.registry.get(), encode(gradient()), encode(gradient(900, 900))
    decode, decoded = classifier.decode, [0]

    def counted(data: bytes, limits: Limits, *, most_work: float | None = None) -> Pixels:
        decoded[0] += data == large
        return decode(data, limits, most_work=most_work)

    monkeypatch.setattr(classifier, "decode", counted)

    async def send() -> int:
        sent = asyncio.create_task(parts.engine.classify_batch(classifier, [large] * 20, Trace(), go_on))
        await asyncio.sleep(0)
        await parts.engine.classify(classifier, small, Trace())
        before = decoded[0]
        await sent
        return before

    assert asyncio.run(send()) < 5
    assert decoded == [20]  # none of them apart


def test_batch_whose_sender_is_gone_goes_no_further(parts: Parts) -> None:
    asked = [0]

    async def go_on_once() -> None:
        asked[0] += 1
        if asked[0] > 1:
            raise ClientDisconnect

    async def send() -> None:
        await parts.engine.classify_batch(
            parts.registry.get(), [encode(gradient())] * 20, Trace(), go_on_once
        )

    with pytest.raises(ClientDisconnect):
        asyncio.run(send())
    assert asked == [2]


def pictures_a_turn(parts: Parts, pictures: list[bytes], monkeypatch: pytest.MonkeyPatch, naps: float) -> int:
    """How many the model gets at a time, at most, after broken ones that take no time and with such naps."""
    classifier = parts.registry.get()
    predict, sizes = classifier.predict, [0]

    def noted(images: Pixels, **options: bool) -> Probabilities:
        sizes.append(len(images))
        time.sleep(naps * len(images))
        return predict(images, **options)

    monkeypatch.setattr(classifier, "predict", noted)

    async def send() -> None:
        for sent in ([b"no picture"] * 100, pictures):
            calls = (parts.engine.classify(classifier, picture, Trace()) for picture in sent)
            await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(send())
    return max(sizes)


def test_pictures_that_take_long_to_decode_share_no_turn(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little time those before them took: nothing is read or refused meanwhile."""
    large = encode(gradient(900, 900))
    assert pictures_a_turn(parts, [large] * 8, monkeypatch, naps=0) == 1


def test_pictures_that_take_the_model_long_share_no_turn(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = encode(gradient())
    assert pictures_a_turn(parts, [small] * 200, monkeypatch, naps=0.01) < 8


def test_no_picture_is_kept_by_what_failed_beside_it(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[weakref.ref[Trace]] = []
    classifier, small = parts.registry.get(), encode(gradient())

    def fail(_: Pixels, **__: bool) -> Probabilities:
        raise MemoryError

    async def send(*pictures: bytes) -> None:
        traces = [Trace() for _ in pictures]
        kept.extend(map(weakref.ref, traces))
        calls = (parts.engine.classify(classifier, *pair) for pair in zip(pictures, traces, strict=True))
        await asyncio.gather(*calls, return_exceptions=True)

    async def send_batch(*pictures: bytes) -> None:
        trace = Trace()
        kept.append(weakref.ref(trace))
        await parts.engine.classify_batch(classifier, list(pictures), trace, go_on)

    gc.disable()
    try:
        asyncio.run(send(small, b"no picture", small, small[:100]))
        monkeypatch.setattr(classifier, "predict", fail)
        asyncio.run(send(small, b"no picture", small))
        monkeypatch.undo()
        asyncio.run(send_batch(small, b"no picture", encode(gradient(1500, 1500)), small[:100]))
        end = time.monotonic() + 5
        while any(one() for one in kept) and time.monotonic() < end:
            time.sleep(0.01)  # the thread that had the large one decoded lets go of it after its answer
        assert [one() for one in kept] == [None] * 8
    finally:
        gc.enable()


def test_model_that_says_too_little_fails_its_own_pictures_alone(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, small = parts.registry.get(), encode(gradient())
    predict = classifier.predict

    async def send() -> Classified:
        async with asyncio.timeout(5):
            return await parts.engine.classify(classifier, small, Trace())

    with monkeypatch.context() as patch:
        patch.setattr(classifier, "predict", lambda images, **options: predict(images, **options)[1:])
        with pytest.raises(IndexError):
            asyncio.run(send())
    assert isinstance(asyncio.run(send()), Classified)


@pytest.mark.parametrize("is_beside_others", [False, True])
def test_model_computes_with_more_threads_while_the_other_worker_has_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch, is_beside_others: bool
) -> None:
    board = Board.make(2)
    other = Place(board, 1, cpus=2)
    parts = build_parts(
        Settings(max_wait_ms=10_000, most_threads=2, threads=1, workers=2), VERSION, Place(board, 0, cpus=2)
    )
    classifier, small = parts.registry.get(), encode(gradient())
    predict, widths = classifier.predict, []

    def noted(images: Pixels, *, wide: bool = False) -> Probabilities:
        widths.append(wide)
        return predict(images, wide=wide)

    monkeypatch.setattr(classifier, "predict", noted)

    async def send() -> None:
        await parts.engine.classify(classifier, small, Trace())
        await parts.engine.classify_batch(classifier, [small] * 5, Trace(), go_on)

    other.note_light(int(is_beside_others))
    time.sleep(0.01)
    asyncio.run(send())
    assert set(widths) == {not is_beside_others}
