"""A variant's figures in; the gates that hold each of them to its limit out."""

import math
from collections.abc import Iterator

from export.bounds import Bound
from export.confidence import CALIBRATION_BINS
from export.gates import DETERMINISM, INDEPENDENCE, PARITY, STRUCTURE, GateLog, Limits, failed
from service.bundle import EngineName, Variant, VariantName

MANY = 5_000  # pictures from which on a default limit means what it says, without an allowance for chance
LOSS = "accuracy loss"
AGREEMENT = "agreement with fp32"
ACCURACY = "test accuracy"
ECE = "expected calibration error"
COVERAGE = "coverage gap"
# In the order in which an export checks them.
GATES: dict[VariantName, tuple[str, ...]] = {
    "fp32": (STRUCTURE, INDEPENDENCE, DETERMINISM, PARITY, ACCURACY, ECE, COVERAGE),
    "int8": (STRUCTURE, INDEPENDENCE, DETERMINISM, LOSS, AGREEMENT, ACCURACY, ECE, COVERAGE),
}


def check_figures(
    log: GateLog, name: VariantName, variant: Variant, reference: Variant | None, limits: Limits
) -> None:
    """Put what was measured on test, by every engine, through its gates.

    Args:
        log: takes note of those that pass.
        name: of the variant.
        variant: what was measured.
        reference: fp32's, where this is another variant.
        limits: that the figures must keep.

    Raises:
        GateError: the first gate that failed.
    """
    bounds = _bounds(variant, limits)
    for gate, figure in gate_figures(variant, reference).items():
        log.check(name, gate, figure, bounds[gate])
    for engine, gate, figure in engine_figures(variant, reference):
        if not bounds[gate].kept_by(figure):
            raise failed(f"{name} by {engine}", gate, figure, bounds[gate])


def gate_figures(variant: Variant, reference: Variant | None) -> dict[str, float]:
    """The figure of each gate that follows from a variant's fields and, where it is compared, fp32's."""
    compared: dict[str, float] = {}
    if reference is not None:
        compared[LOSS] = reference.accuracy - variant.accuracy
    if variant.agreement is not None:
        compared[AGREEMENT] = variant.agreement
    return compared | {
        ACCURACY: variant.accuracy,
        ECE: variant.ece,
        COVERAGE: abs(variant.coverage - (1 - variant.prediction_set_alpha)),
    }


def engine_figures(variant: Variant, reference: Variant | None) -> Iterator[tuple[EngineName, str, float]]:
    """What each other engine's accuracy comes to, for the gates that a variant's own has to pass."""
    for engine, accuracy in variant.engines.items():
        yield engine, ACCURACY, accuracy
        if reference is not None:
            yield engine, LOSS, reference.accuracy - accuracy


def _bounds(variant: Variant, limits: Limits) -> dict[str, Bound]:
    count = variant.test_count
    # A share of few pictures can't be finer than one of them.
    one = 1 / count
    return {
        LOSS: limits.bound("max_accuracy_loss", one - limits.max_accuracy_loss, count),
        AGREEMENT: limits.bound("min_agreement", one - (1 - limits.min_agreement), count),
        ACCURACY: limits.bound("min_accuracy"),
        ECE: limits.bound("max_ece", _ece_noise(count), count),
        COVERAGE: limits.bound(
            "max_coverage_gap",
            _coverage_noise(variant) - limits.max_coverage_gap,
            min(count, variant.held_out_count),
        ),
    }


def _ece_noise(count: int) -> float:
    """What chance alone may add to the calibration error where few pictures share the bins."""
    return 0.0 if count >= MANY else 0.4 * math.sqrt(CALIBRATION_BINS / count)


def _coverage_noise(variant: Variant) -> float:
    """Three standard deviations of the coverage from both splits' sizes, where one of them is small."""
    alpha, test, held_out = variant.prediction_set_alpha, variant.test_count, variant.held_out_count
    if min(test, held_out) >= MANY:
        return 0.0
    return 3 * math.sqrt(alpha * (1 - alpha) * (1 / test + 1 / held_out))
