"""Encoded pictures in, probabilities out, off the event loop: decode and inference in worker threads."""

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import anyio
import numpy as np
from numpy.typing import NDArray

from service.classifier import Classifier
from service.errors import ImageError
from service.imaging import Limits
from service.metrics import Metrics
from service.middleware import Trace

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]
Result = TypeVar("Result")


class Engine:
    """Runs pictures through classifiers in at most `threads` threads; the others wait their turn."""

    def __init__(self, threads: int, limits: Limits, metrics: Metrics) -> None:
        self._turns = anyio.CapacityLimiter(threads)
        self._limits = limits
        self._metrics = metrics

    async def classify(self, classifier: Classifier, data: bytes, trace: Trace) -> Probabilities:
        """Probabilities (classes,) of one picture, in one turn.

        Raises:
            ImageError: it is no picture that can be classified.
        """

        def work() -> Probabilities:
            with trace.stage("decode"):
                pixels = classifier.decode(data, self._limits)
            with trace.stage("infer"):
                return classifier.predict(pixels[None])

        probabilities: Probabilities = (await self._take_turn(work, trace))[0]
        self._count(classifier, probabilities)
        return probabilities

    async def classify_batch(
        self, classifier: Classifier, pictures: list[bytes], trace: Trace
    ) -> list[Probabilities | ImageError]:
        """Probabilities (classes,) of each picture, or why it has none, in the order given.

        Each picture is decoded in a turn of its own, so that others get theirs in between.
        """
        decode = (partial(self._decode, classifier, data, trace) for data in pictures)
        decoded = [await self._take_turn(one, trace) for one in decode]
        images = [pixels for pixels in decoded if not isinstance(pixels, ImageError)]
        if not images:
            return [failure for failure in decoded if isinstance(failure, ImageError)]

        def infer() -> Probabilities:
            with trace.stage("infer"):
                return classifier.predict(np.stack(images))

        rows = iter(await self._take_turn(infer, trace))
        outcomes = [one if isinstance(one, ImageError) else next(rows) for one in decoded]
        for outcome in outcomes:
            if not isinstance(outcome, ImageError):
                self._count(classifier, outcome)
        return outcomes

    async def _take_turn(self, work: Callable[[], Result], trace: Trace) -> Result:
        asked = time.perf_counter()

        def timed() -> Result:
            trace.add("queue", time.perf_counter() - asked)
            return work()

        return await anyio.to_thread.run_sync(timed, limiter=self._turns)

    def _decode(self, classifier: Classifier, data: bytes, trace: Trace) -> Pixels | ImageError:
        try:
            with trace.stage("decode"):
                return classifier.decode(data, self._limits)
        except ImageError as error:
            return error

    def _count(self, classifier: Classifier, probabilities: Probabilities) -> None:
        manifest = classifier.manifest
        predicted = manifest.class_names[int(probabilities.argmax())]
        self._metrics.predictions.labels(manifest.name, manifest.version, predicted).inc()
