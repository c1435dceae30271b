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
    growth: float = 1.5,
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

    low, high = (first, None) if holds(first) else (None, first)
    while high is None and low is not None:
        low, high = (low * growth, None) if holds(low * growth) else (low, low * growth)
    while low is None and high is not None:
        if high <= lowest:
            return None, tried
        rate = max(lowest, high / growth)
        low, high = (rate, high) if holds(rate) else (None, rate)
    while low is not None and high is not None and high / low > 1 + precision:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low, tried
