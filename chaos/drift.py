"""Figures of a long run, slice by slice, in; whether they stay what they are out."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_WARM_UP = 0.1  # of the slices, whose figures are those of a beginning
_PART = 3  # of what is left, a third at the beginning is held against a third at the end
_NORMAL = 1.4826  # times the median absolute deviation is the standard deviation of a normal distribution
_OF_A_MEDIAN = 1.2533  # times the standard error of a mean is that of a median
_ERRORS = 2.0  # standard errors that a change has to be above its limit, or it may be chance


@dataclass(frozen=True)
class Slice:
    """A piece of the run; `second` is its end."""

    second: float
    p50_ms: float
    p95_ms: float
    memory_mb: float
    descriptors: float


@dataclass(frozen=True)
class Change:
    """From the first part to the last, as a share of the first; `error` is the standard error of `share`."""

    first: float
    last: float
    error: float

    @property
    def share(self) -> float:
        """0.05 for 5% more."""
        return self.last / self.first - 1 if self.first else 0.0

    def is_above(self, limit: float) -> bool:
        """Whether it is more than `limit`, even if chance had made it two standard errors larger."""
        return self.share - _ERRORS * self.error > limit

    def __str__(self) -> str:
        return f"{self.share:+.1%} ± {_ERRORS * self.error:.1%}"


def change_of(values: Sequence[float]) -> Change:
    """Compare the medians of the first and the last part, without the warm-up."""
    settled = values[math.ceil(_WARM_UP * len(values)) :]
    size = max(1, len(settled) // _PART)
    first, last = settled[:size], settled[-size:]
    middle = statistics.median(first)
    error = math.hypot(_error(first), _error(last)) / middle if middle else 0.0
    return Change(middle, statistics.median(last), error)


def _error(values: Sequence[float]) -> float:
    """The standard error of their median, from how far the middle half of them are apart."""
    middle = statistics.median(values)
    spread = _NORMAL * statistics.median(abs(value - middle) for value in values)
    return _OF_A_MEDIAN * spread / math.sqrt(len(values))
