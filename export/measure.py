"""A graph's answers in; calibration from the held-out pictures, and what it leads to on test, out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from export import confidence
from export.confidence import Scaling
from export.gates import run
from export.names import INPUT, LOGITS
from service.bundle import EngineName, Variant
from train.data import Pixels

ALPHA = 0.05  # share of true classes that a prediction set may miss
CONFIDENT_SHARE = 0.95  # of held-out pictures, at least, that are not called low confidence
_BATCH = 100


@dataclass(frozen=True)
class Evaluated:
    """A split's logits, float32 (N, classes), as ONNX Runtime gives them, and its labels."""

    logits: Tensor
    labels: Tensor

    @property
    def right(self) -> int:
        """How many pictures are classified right."""
        return int((self.logits.argmax(1) == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """0..1."""
        return self.right / len(self.labels)

    def agreement(self, other: "Evaluated") -> float:
        """The share of pictures, 0..1, that both answer alike."""
        return float((self.logits.argmax(1) == other.logits.argmax(1)).double().mean())

    def probabilities(self, scaling: Scaling) -> Tensor:
        """(N, classes)."""
        return torch.softmax(scaling(self.logits), dim=1)


@dataclass(frozen=True)
class Calibration:
    """What is chosen on the held-out pictures."""

    scaling: Scaling
    alpha: float
    quantile: float
    threshold: float


@dataclass(frozen=True)
class Measured:
    """A variant's calibration, and its figures on test."""

    calibration: Calibration
    held_out: Evaluated
    test: Evaluated
    ece: float
    coverage: float
    mean_set_size: float
    unfamiliar_caught: float | None = None
    agreement: float | None = None
    engines: Mapping[EngineName, float] = field(default_factory=dict)

    @property
    def confident_share(self) -> float:
        """The share of held-out pictures, 0..1, that are not called low confidence."""
        probabilities = self.held_out.probabilities(self.calibration.scaling)
        return confidence.confident_share(probabilities, self.calibration.threshold)

    def caught(self, session: onnxruntime.InferenceSession, images: NDArray[np.uint8]) -> float:
        """The share of pictures that are called low confidence."""
        largest = run(session, images, _BATCH)[1].max(axis=1)
        return float((largest < self.calibration.threshold).mean())

    def variant(self, file: str, graph: bytes) -> Variant:
        """As the manifest has it."""
        return Variant(
            file=file,
            size_bytes=len(graph),
            accuracy=self.test.accuracy,
            test_count=len(self.test.labels),
            held_out_count=len(self.held_out.labels),
            ece=self.ece,
            temperature=self.calibration.scaling.temperature,
            curvature=self.calibration.scaling.curvature,
            prediction_set_alpha=self.calibration.alpha,
            prediction_set_quantile=self.calibration.quantile,
            coverage=self.coverage,
            mean_set_size=self.mean_set_size,
            low_confidence_threshold=self.calibration.threshold,
            unfamiliar_caught=self.unfamiliar_caught,
            agreement=self.agreement,
            engines=dict(self.engines),
        )


def evaluate(session: onnxruntime.InferenceSession, pixels: Pixels) -> Evaluated:
    """Run a whole split."""
    parts = [
        torch.from_numpy(session.run([LOGITS], {INPUT: images.numpy()})[0])
        for images, _ in pixels.batches(_BATCH)
    ]
    return Evaluated(torch.cat(parts), pixels.labels)


def calibrate(held_out: Evaluated) -> Calibration:
    """Scaling, prediction-set quantile and low-confidence threshold."""
    scaling = confidence.fit_scaling(held_out.logits, held_out.labels)
    probabilities = held_out.probabilities(scaling)
    return Calibration(
        scaling=scaling,
        alpha=ALPHA,
        quantile=confidence.prediction_set_quantile(probabilities, held_out.labels, ALPHA),
        threshold=confidence.low_confidence_threshold(probabilities, CONFIDENT_SHARE),
    )


def measure(calibration: Calibration, held_out: Evaluated, test: Evaluated) -> Measured:
    """What the calibration leads to on test."""
    probabilities = test.probabilities(calibration.scaling)
    sets = confidence.prediction_sets(probabilities, calibration.quantile)
    return Measured(
        calibration=calibration,
        held_out=held_out,
        test=test,
        ece=confidence.expected_calibration_error(probabilities, test.labels),
        coverage=float(sets.gather(1, test.labels[:, None]).double().mean()),
        mean_set_size=float(sets.sum(1).double().mean()),
    )
