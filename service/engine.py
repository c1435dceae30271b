"""Encoded pictures in, probabilities out: usual ones in turns of the event loop, large ones decoded apart."""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import numpy as np

from service.apart import DecodersApart, Heavy
from service.board import Place
from service.classifier import Classifier
from service.errors import HeavyImage, ImageError
from service.imaging import Limits
from service.lane import LoopLane
from service.metrics import Metrics
from service.settings import Settings
from service.trace import Trace
from service.turn import LONGEST_TURN, Classified, Light, Pixels, Probabilities, Together

# Megapixels of PNG, about 20 ms of decoding: what takes longer would make the pictures behind it late.
_LIGHT_WORK = 1.0
_MOST_OF_A_BATCH = 8  # pictures at a time, beyond which little is gained


class Engine:
    """Runs pictures through classifiers, so that none makes many others late."""

    def __init__(self, settings: Settings, metrics: Metrics, place: Place) -> None:
        """Take, besides, this process's place among other workers."""
        longest_wait = settings.max_wait_ms / 1000
        self.light = LoopLane(longest_wait, place.note_light)
        self._apart = DecodersApart(settings)
        self._limits = settings.limits
        self._metrics = metrics
        self._place = place
        self._shared: dict[Classifier, Together] = {}

    def start(self) -> None:
        """Have everything ready for the first picture."""
        self._apart.start()

    def close(self) -> None:
        """End what runs beside."""
        self._apart.close()

    async def classify(self, classifier: Classifier, data: bytes, trace: Trace) -> Classified:
        """One picture; if it is of a usual size, decoded and classified in a turn that it may share.

        Raises:
            ImageError: it is no picture that can be classified.
            Overloaded: too much is waiting.
        """
        try:
            classified = await self.light.share(self._together(classifier), Light(data, trace), trace)
        except HeavyImage as heavy:
            pixels = await self._decode_apart(classifier, Heavy(data, heavy.is_header_read), trace)
            infer = partial(self._infer, classifier, pixels[None], trace)
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
            go_on: asked before some pictures are taken and before each that is decoded apart; raises when the
                answer is no longer wanted.

        Raises:
            Overloaded: too much is waiting.
        """
        waiting = deque(pictures)
        answers: list[Probabilities | ImageError] = []
        while waiting:
            await go_on()
            most = min(_MOST_OF_A_BATCH, self._together(classifier).most)
            decode = partial(_decode_some, classifier, self._limits, waiting, most, trace)
            some = await self.light.run(decode, trace, admitted=len(answers) > 0)
            decoded: list[Pixels | ImageError] = []
            for one in some:
                if isinstance(one, Heavy):
                    await go_on()
                    admitted = len(answers) + len(decoded) > 0
                    decoded.append(await self._decode_heavy(classifier, one, trace, admitted=admitted))
                else:
                    decoded.append(one)
            answers += await self._infer_some(classifier, decoded, trace)
        for answer in answers:
            if not isinstance(answer, ImageError):
                self._count(classifier, answer)
        return answers

    async def _infer_some(
        self, classifier: Classifier, decoded: list[Pixels | ImageError], trace: Trace
    ) -> list[Probabilities | ImageError]:
        images = [one for one in decoded if not isinstance(one, ImageError)]
        rows: Iterator[Probabilities] = iter(())
        if images:
            infer = partial(self._infer, classifier, np.stack(images), trace)
            rows = iter(await self.light.run(infer, trace, admitted=True))
        return [one if isinstance(one, ImageError) else next(rows) for one in decoded]

    def _together(self, classifier: Classifier) -> Together:
        """How to classify some pictures in one turn: always the same object, by which turns are shared."""
        if classifier not in self._shared:
            self._shared[classifier] = Together(
                partial(_decode_light, classifier, self._limits), partial(self._predict, classifier)
            )
        return self._shared[classifier]

    async def _decode_heavy(
        self, classifier: Classifier, picture: Heavy, trace: Trace, *, admitted: bool
    ) -> Pixels | ImageError:
        try:
            return await self._decode_apart(classifier, picture, trace, admitted=admitted)
        except ImageError as error:
            return error

    async def _decode_apart(
        self, classifier: Classifier, picture: Heavy, trace: Trace, *, admitted: bool = False
    ) -> Pixels:
        with self._place.with_heavy():
            return await self._apart.decode(picture, classifier.manifest.input, trace, admitted=admitted)

    def _infer(self, classifier: Classifier, images: Pixels, trace: Trace) -> Probabilities:
        started = time.perf_counter()
        rows = self._predict(classifier, images)
        passed = time.perf_counter() - started
        trace.add("infer", passed)
        self._together(classifier).learn(passed, len(images))
        return rows

    def _predict(self, classifier: Classifier, images: Pixels) -> Probabilities:
        """With CPUs that nobody else needs now, a picture is done sooner, though with more work in all."""
        return classifier.predict(images, wide=self._place.may_use(classifier.most_threads))

    def _count(self, classifier: Classifier, probabilities: Probabilities) -> None:
        manifest = classifier.manifest
        best = int(probabilities.argmax())
        self._metrics.predictions[manifest.name, manifest.version, manifest.class_names[best]].inc()
        self._metrics.confidence[manifest.name, manifest.version].observe(float(probabilities[best]))


def _decode_light(classifier: Classifier, limits: Limits, data: bytes, trace: Trace) -> Pixels:
    with trace.stage("decode"):
        return classifier.decode(data, limits, most_work=_LIGHT_WORK)


def _decode_some(
    classifier: Classifier, limits: Limits, waiting: deque[bytes], most: int, trace: Trace
) -> list[Pixels | ImageError | Heavy]:
    """What becomes of the pictures in front, as many as fit into a turn, which wait no longer."""
    decoded: list[Pixels | ImageError | Heavy] = []
    end = time.perf_counter() + LONGEST_TURN
    try:
        while waiting and len(decoded) < most and time.perf_counter() < end:
            data = waiting.popleft()
            try:
                decoded.append(_decode_light(classifier, limits, data, trace))
            except HeavyImage as heavy:
                decoded.append(Heavy(data, heavy.is_header_read))
            except ImageError as error:
                decoded.append(error)
        return decoded.copy()
    finally:
        decoded.clear()  # an error's trace holds this frame, and so would keep itself and all pictures
