"""A bundle in, of its variants and engines the one that answers right and fastest on this CPU out."""

import itertools
import logging
import statistics
import time
from collections.abc import Container, Sequence
from typing import Literal

from service.bundle import Bundle, EngineName, VariantName
from service.classifier import Classifier
from service.cpus import cpu_has
from service.errors import BundleError
from service.imaging import DEFAULT_LIMITS
from service.session import AMX, engines_that_may_gain

logger = logging.getLogger(__name__)

_ROUNDS = 15
_WORTH = 0.95  # of the time of ONNX Runtime's own kernels: what gains less than chance would is not taken


def open_classifier(
    bundle: Bundle,
    variant: VariantName | Literal["auto"] = "auto",
    threads: int = 1,
    most_threads: int = 1,
    engine: EngineName | Literal["auto"] = "auto",
) -> Classifier:
    """What was asked for, with "auto" the best of what this CPU computes right.

    Args:
        bundle: to load.
        variant: with "auto", int8 where there is one that this CPU computes right, else fp32.
        threads: that compute a picture.
        most_threads: the same while CPUs are idle.
        engine: with "auto", the fastest for a picture alone.

    Raises:
        BundleError: the variant does not exist or does not agree with its golden pictures.
    """
    there = bundle.manifest.variants
    if variant != "auto" and variant not in there:
        raise BundleError(
            f"bundle {str(bundle.folder)!r} has no variant {variant!r}: it has {', '.join(there)}"
        )
    wanted: list[VariantName] = [variant] if variant != "auto" else _by_speed(there)
    classifier = _open_first(bundle, wanted, threads, engine)
    classifier.widen(bundle, most_threads)
    return classifier


def _by_speed(there: Container[VariantName]) -> list[VariantName]:
    names: tuple[VariantName, ...] = ("int8", "fp32")
    return [name for name in names if name in there]


def _open_first(
    bundle: Bundle, variants: Sequence[VariantName], threads: int, engine: EngineName | Literal["auto"]
) -> Classifier:
    """The first of the variants that computes right."""
    for variant, next_one in itertools.pairwise(variants):
        try:
            return _open(bundle, variant, threads, engine)
        except BundleError as error:
            logger.warning("%s; %s answers instead, if it can", error, next_one)
    return _open(bundle, variants[-1], threads, engine)


def _open(
    bundle: Bundle, variant: VariantName, threads: int, engine: EngineName | Literal["auto"]
) -> Classifier:
    if engine == "amx" and not cpu_has(AMX):
        logger.warning("GLIMPSE_ENGINE=amx: this CPU has no %s, so it only takes longer", AMX)
    if engine != "auto":
        return Classifier(bundle, variant, threads, engine)
    own, *others = engines_that_may_gain(variant)
    classifiers = [Classifier(bundle, variant, threads, own)]
    for name in others:
        try:
            classifiers.append(Classifier(bundle, variant, threads, name))
        except BundleError as error:
            logger.warning("%s; %s is left out", error, name)
    return fastest(classifiers)


def fastest(classifiers: Sequence[Classifier]) -> Classifier:
    """The one that answers a picture soonest, or the first, if no other is clearly faster."""
    first, *others = classifiers
    if not others:
        return first
    picture = first.decode(first.examples[0], DEFAULT_LIMITS)[None]
    times: list[list[float]] = [[] for _ in classifiers]
    for _ in range(_ROUNDS):  # in turn, so that a slow moment of the machine meets them all
        for classifier, own in zip(classifiers, times, strict=True):
            started = time.perf_counter()
            classifier.predict(picture)
            own.append(time.perf_counter() - started)
    medians = [statistics.median(own) for own in times]
    best = min(range(len(classifiers)), key=medians.__getitem__)
    shown = ", ".join(
        f"{one.engine} {1000 * median:.2f} ms" for one, median in zip(classifiers, medians, strict=True)
    )
    chosen = classifiers[best] if medians[best] <= _WORTH * medians[0] else first
    logger.info("%s takes a picture: %s", chosen.engine, shown)
    return chosen
