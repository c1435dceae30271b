"""Sessions in, their latency and throughput on this machine out."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.names import INPUT, PROBABILITIES
from service.bundle import VariantName

_ROUNDS = 200
_LARGE_BATCH = 32


@dataclass(frozen=True)
class Latency:
    """Of the graph alone, in one thread, without decoding or HTTP."""

    p50_ms: float  # of one picture
    p95_ms: float
    images_per_second: float  # in batches of 32, the median's


def measure_latency(
    sessions: Mapping[VariantName, onnxruntime.InferenceSession],
    images: NDArray[np.uint8],
    rounds: int = _ROUNDS,
) -> dict[VariantName, Latency]:
    """Time every session in turn, round by round, so that a slow moment of the machine meets them all.

    Args:
        sessions: by name; each computes in one thread.
        images: uint8 (N, height, width, 3).
        rounds: how many single pictures each gets, after a tenth as many to warm up.
    """
    large = images[np.arange(_LARGE_BATCH) % len(images)]
    single: dict[VariantName, list[float]] = {name: [] for name in sessions}
    batch: dict[VariantName, list[float]] = {name: [] for name in sessions}
    for index in range(-rounds // 10, rounds):
        picture = images[index % len(images)][None]
        for name, session in sessions.items():
            seconds = _time(session, picture)
            if index >= 0:
                single[name].append(1000 * seconds)
            if index % 10 == 0:
                batch[name].append(_time(session, large))
    return {
        name: Latency(
            p50_ms=float(np.percentile(single[name], 50)),
            p95_ms=float(np.percentile(single[name], 95)),
            images_per_second=_LARGE_BATCH / float(np.median(batch[name])),
        )
        for name in sessions
    }


def _time(session: onnxruntime.InferenceSession, images: NDArray[np.uint8]) -> float:
    started = time.perf_counter()
    session.run([PROBABILITIES], {INPUT: images})
    return time.perf_counter() - started
