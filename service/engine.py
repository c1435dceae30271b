"""Encoded pictures in, probabilities out: usual ones in turns of the event loop, large ones decoded apart."""

import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.classifier import Classifier
from service.errors import HeavyImage, ImageError
from service.imaging import Limits
from service.lane import LoopLane, ThreadLane
from service.metrics import Metrics
from service.sandbox import Sandbox
from service.settings import Settings
from service.trace import Trace

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]

# Megapixels of PNG, about 20 ms of decoding: what takes longer would make the pictures behind it late.
_LIGHT_WORK = 1.0
_HEAVY_WAITS = 20  # times as long as light work
_LONGEST_TURN = 0.005  # seconds of pictures done together
_SMOOTHING = 0.05  # weight of the newest inference in the mean of a picture's
_PICTURES_A_TURN = 4  # of a batch's inference, so that others get their turn in between


class Classified(NamedTuple):
    """What a model got of a picture, (height, width, 3), and what it says of it, (classes,)."""

    pixels: Pixels
    probabilities: Probabilities


class _Light(NamedTuple):
    """A picture of a usual size that waits for its turn."""

    data: bytes
    trace: Trace


class _Together:
    """Pictures that wait for one model, as many of them as fit into a turn."""

    def __init__(self, classifier: Classifier, limits: Limits) -> None:
        self._classifier = classifier
        self._limits = limits
        self._infer_seconds = _LONGEST_TURN  # of one picture; not known yet: the first has a turn alone

    def __call__(self, waiting: Iterator[_Light]) -> list[Classified | Exception]:
        """Decode some, then have the model read its weights once for all that can be: what became of each."""
        decoded: list[Pixels | Exception] = []
        ready: list[tuple[Trace, float]] = []
        end = time.perf_counter() + _LONGEST_TURN
        for light in waiting:
            decoded.append(self._decode(light))
            now = time.perf_counter()
            ready.append((light.trace, now))
            if now + (len(decoded) + 1) * self._infer_seconds > end:
                break
        try:
            rows = self._infer_all(decoded, ready)
            return [one if isinstance(one, Exception) else Classified(one, rows.pop(0)) for one in decoded]
        finally:
            decoded.clear()  # an error's trace holds this frame, and so would keep itself and all pictures

    def _decode(self, light: _Light) -> Pixels | Exception:
        try:
            return _decode_light(self._classifier, self._limits, *light)
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
        rows: list[Probabilities] = list(self._classifier.predict(np.stack(images)))
        passed = time.perf_counter() - started
        self._infer_seconds += _SMOOTHING * (passed / len(images) - self._infer_seconds)
        for (trace, _), one in zip(ready, decoded, strict=True):
            if not isinstance(one, Exception):
                trace.add("infer", passed)
        return rows


class Engine:
    """Runs pictures through classifiers, so that none makes many others late."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        longest_wait = settings.max_wait_ms / 1000
        self.light = LoopLane(longest_wait)
        self._heavy = ThreadLane("heavy", _HEAVY_WAITS * longest_wait)
        self._sandbox = Sandbox(settings.limits, settings.decode_seconds, settings.decode_bytes)
        self._limits = settings.limits
        self._metrics = metrics
        self._shared: dict[Classifier, _Together] = {}

    def start(self) -> None:
        """Have everything ready for the first picture."""
        self._heavy.start()
        self._sandbox.start()

    def close(self) -> None:
        """End what runs beside."""
        self._sandbox.close()

    async def classify(self, classifier: Classifier, data: bytes, trace: Trace) -> Classified:
        """One picture; if it is of a usual size, decoded and classified in a turn that it may share.

        Raises:
            ImageError: it is no picture that can be classified.
            Overloaded: too much is waiting.
        """
        try:
            classified = await self.light.share(self._together(classifier), _Light(data, trace), trace)
        except HeavyImage as heavy:
            pixels = await self._decode_apart(classifier, data, heavy, trace)
            infer = partial(_infer, classifier, pixels[None], trace)
            rows = await self.light.run(infer, trace, admitted=True)
            classified = Classified(pixels, rows[0])
        self._count(classifier, classified.probabilities)
        return classified

    async def classify_batch(
        self,
        classifier: Classifier,
        pictures: list[bytes],
        trace: Trace,
        go_on: Callable[[], Awaitable[None]],
    ) -> list[Probabilities | ImageError]:
        """Probabilities (classes,) of each picture, or why it has none, in the order given.

        Args:
            classifier: what to ask.
            pictures: files.
            trace: of the request.
            go_on: asked before each piece of work; raises when the answer is no longer wanted.

        Raises:
            Overloaded: too much is waiting.
        """
        decoded: list[Pixels | ImageError] = []
        for index, data in enumerate(pictures):
            await go_on()
            decoded.append(await self._decode(classifier, data, trace, admitted=index > 0))
        images = [pixels for pixels in decoded if not isinstance(pixels, ImageError)]
        rows: list[Probabilities] = []
        for start in range(0, len(images), _PICTURES_A_TURN):
            await go_on()
            part = np.stack(images[start : start + _PICTURES_A_TURN])
            rows += list(await self.light.run(partial(_infer, classifier, part, trace), trace, admitted=True))
        for probabilities in rows:
            self._count(classifier, probabilities)
        answers = iter(rows)
        return [one if isinstance(one, ImageError) else next(answers) for one in decoded]

    def _together(self, classifier: Classifier) -> _Together:
        """How to classify some pictures in one turn: always the same object, by which turns are shared."""
        if classifier not in self._shared:
            self._shared[classifier] = _Together(classifier, self._limits)
        return self._shared[classifier]

    async def _decode(
        self, classifier: Classifier, data: bytes, trace: Trace, *, admitted: bool
    ) -> Pixels | ImageError:
        work = partial(_decode_light, classifier, self._limits, data, trace)
        try:
            return await self.light.run(work, trace, admitted=admitted)
        except HeavyImage as heavy:
            try:
                return await self._decode_apart(classifier, data, heavy, trace, admitted=admitted)
            except ImageError as error:
                return error
        except ImageError as error:
            return error

    async def _decode_apart(
        self, classifier: Classifier, data: bytes, heavy: HeavyImage, trace: Trace, *, admitted: bool = False
    ) -> Pixels:
        size = classifier.manifest.input

        def work() -> Pixels:
            with trace.stage("decode"):
                return self._sandbox.decode(
                    data, size.height, size.width, is_header_read=heavy.is_header_read
                )

        return await self._heavy.run(work, trace, admitted=admitted)

    def _count(self, classifier: Classifier, probabilities: Probabilities) -> None:
        manifest = classifier.manifest
        best = int(probabilities.argmax())
        self._metrics.predictions[manifest.name, manifest.version, manifest.class_names[best]].inc()
        self._metrics.confidence[manifest.name, manifest.version].observe(float(probabilities[best]))


def _decode_light(classifier: Classifier, limits: Limits, data: bytes, trace: Trace) -> Pixels:
    with trace.stage("decode"):
        return classifier.decode(data, limits, most_work=_LIGHT_WORK)


def _infer(classifier: Classifier, images: Pixels, trace: Trace) -> Probabilities:
    with trace.stage("infer"):
        return classifier.predict(images)
