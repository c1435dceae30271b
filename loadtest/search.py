"""A way to try a rate in, the highest rate that holds out."""

from collections.abc import Callable
from typing import Protocol, TypeVar


class Tried(Protocol):
    """What came of a rate."""

    @property
    def breaches(self) -> list[str]:
        """What did not hold."""


T = TypeVar("T", bound=Tried)


def find_highest(
    attempt: Callable[[float], T],
    first: float,
    growth: float = 2.0,
    precision: float = 0.05,
    lowest: float = 1.0,
) -> tuple[float | None, list[tuple[float, T]]]:
    """Raise the rate by `growth` until it breaks, then bisect to within `precision` (a share) of the answer.

    Where the first rate breaks already, it is lowered by `growth` until one holds. A rate breaks only where
    it does twice: one run that was disturbed decides nothing.

    Returns:
        The highest rate that held, None where not even `lowest` did; and every attempt in its order.
    """
    tried: list[tuple[float, T]] = []

    def holds(rate: float) -> bool:
        for _ in range(2):
            tried.append((rate, attempt(rate)))
            if not tried[-1][1].breaches:
                return True
        return False

    low, high = _bracket(holds, first, growth, lowest)
    while low is not None and high / low > 1 + precision:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low, tried


def _bracket(
    holds: Callable[[float], bool], first: float, growth: float, lowest: float
) -> tuple[float | None, float]:
    """A rate that holds, None where there is none, and one above it that breaks."""
    rate = first
    if holds(rate):
        while holds(rate * growth):
            rate *= growth
        return rate, rate * growth
    while rate > lowest:
        lower = max(lowest, rate / growth)
        if holds(lower):
            return lower, rate
        rate = lower
    return None, rate
