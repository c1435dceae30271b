"""Pictures that come at the same time, through a real model."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from service.app import VERSION
from service.engine import Classified
from service.errors import UndecodableImage, UnsupportedFormat
from service.parts import Parts, build_parts
from service.settings import Settings
from service.trace import Trace
from tests.support import PICTURES

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


def test_times_of_a_shared_turn_add_up_to_what_each_waited(parts: Parts) -> None:
    cat = (PICTURES / "cat.png").read_bytes()
    _, traces = classify(parts, [cat] * 4)
    first, *_, last = (sum(trace.stages.values()) for trace in traces)
    assert first == pytest.approx(last, rel=0.5)
    assert len({trace.stages["infer"] for trace in traces}) < len(traces)
