"""Text such as `p95=50ms` in, a bound on the latency out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.results import percentile

_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
_UNITS = {"ms": 1.0, "s": 1000.0}


class SloError(ValueError):
    """No bound that we know."""


@dataclass(frozen=True)
class Slo:
    """`measure` has to stay under `limit` milliseconds."""

    measure: str
    limit: float

    def __str__(self) -> str:
        return f"{self.measure} < {self.limit:g} ms"

    def of(self, ordered: Sequence[float]) -> float:
        """What is bounded, of ascending times of which there is at least one."""
        return percentile(ordered, _SHARES[self.measure])

    def breach(self, ordered: Sequence[float]) -> str | None:
        """By how much the ascending times break it; None where they hold it."""
        value = self.of(ordered)
        if value < self.limit:
            return None
        over = value - self.limit
        return f"{self.measure} is {value:.2f} ms, {over:.2f} ms over the limit of {self.limit:g} ms"


def parse_slo(text: str) -> Slo:
    """Read a bound.

    Raises:
        SloError: it is none.
    """
    match = re.fullmatch(r"(\w+)=([0-9]*\.?[0-9]+)(ms|s)", text)
    if match is None or match[1] not in _SHARES or float(match[2]) == 0:
        known = ", ".join(_SHARES)
        raise SloError(f"{text!r} is not allowed: give MEASURE=TIME such as p95=50ms, of {known}, in ms or s")
    return Slo(match[1], float(match[2]) * _UNITS[match[3]])
