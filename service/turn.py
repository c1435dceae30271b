"""Pictures that wait for one model in, as many as fit into a turn classified together out."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.trace import Trace

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]

LONGEST_TURN = 0.005  # seconds of pictures done together
_SMOOTHING = 0.05  # weight of the newest inference in the mean of a picture's


class Classified(NamedTuple):
    """What a model got of a picture, (height, width, 3), and what it says of it, (classes,)."""

    pixels: Pixels
    probabilities: Probabilities


class Light(NamedTuple):
    """A picture of a usual size that waits for its turn."""

    data: bytes
    trace: Trace


class Together:
    """Pictures that wait for one model, as many of them as fit into a turn."""

    def __init__(
        self, decode: Callable[[bytes, Trace], Pixels], predict: Callable[[Pixels], Probabilities]
    ) -> None:
        """Take how the model's pixels (height, width, 3) and its probabilities (N, classes) are had."""
        self._decode_one = decode
        self._predict = predict
        self._infer_seconds: float | None = None  # of one picture; not known yet: the first has a turn alone

    def __call__(self, waiting: Iterator[Light]) -> list[Classified | Exception]:
        """Decode some, then have the model read its weights once for all that can be: what became of each."""
        decoded: list[Pixels | Exception] = []
        ready: list[tuple[Trace, float]] = []
        end = time.perf_counter() + LONGEST_TURN
        for light in waiting:
            decoded.append(self._decode(light))
            now = time.perf_counter()
            ready.append((light.trace, now))
            if now + (len(decoded) + 1) * (self._infer_seconds or LONGEST_TURN) > end:
                break
        try:
            rows = self._infer_all(decoded, ready)
            return [one if isinstance(one, Exception) else Classified(one, rows.pop(0)) for one in decoded]
        finally:
            decoded.clear()  # an error's trace holds this frame, and so would keep itself and all pictures

    @property
    def most(self) -> int:
        """How many decoded pictures the model can be given in a turn, at least 1."""
        return max(1, int(LONGEST_TURN / self._infer_seconds)) if self._infer_seconds else 1

    def learn(self, seconds: float, pictures: int) -> None:
        """Take note of how long the model took for so many."""
        took = seconds / pictures
        if self._infer_seconds is None:
            self._infer_seconds = took
        else:
            self._infer_seconds += _SMOOTHING * (took - self._infer_seconds)

    def _decode(self, light: Light) -> Pixels | Exception:
        try:
            return self._decode_one(*light)
        except Exception as error:  # noqa: BLE001 - it is this one's, and not that of its neighbours
            return error

    def _infer_all(
        self, decoded: list[Pixels | Exception], ready: list[tuple[Trace, float]]
    ) -> list[Probabilities]:
        """What the model says of each that could be decoded, and how long all have waited for that."""
        started = time.perf_counter()
        for trace, since in ready:
            trace.add("queue", started - since)  # in which those behind were decoded
        images = [one for one in decoded if not isinstance(one, Exception)]
        if not images:
            return []
        rows: list[Probabilities] = list(self._predict(np.stack(images)))
        passed = time.perf_counter() - started
        self.learn(passed, len(images))
        for (trace, _), one in zip(ready, decoded, strict=True):
            if not isinstance(one, Exception):
                trace.add("infer", passed)
        return rows
