"""Text such as `p95=50ms` or `refused=0.1%` in, what has to hold out."""

import math
import re
from collections.abc import Iterable, Sequence
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

    @property
    def least_requests(self) -> int:
        """With fewer, the percentile would be no other than the slowest request."""
        share = _SHARES[self.measure]
        return 1 if share == 1 else math.ceil(1 / (1 - share))

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


@dataclass(frozen=True)
class Refusals:
    """At most `share` (0..1) of the requests may be refused for want of room: an error budget."""

    share: float


@dataclass(frozen=True)
class Objective:
    """All that has to hold: bounds on the latency, and the share of requests (0..1) that may be refused."""

    slos: tuple[Slo, ...]
    refused: float = 0.0

    def __str__(self) -> str:
        bounds = [str(slo) for slo in self.slos]
        return ", ".join([*bounds, f"refused <= {percent(self.refused)}"] if self.refused else bounds)

    @property
    def strictest(self) -> Slo:
        """The bound that takes most requests to be told."""
        return max(self.slos, key=lambda slo: slo.least_requests)

    @property
    def tightest(self) -> float:
        """The lowest limit, in milliseconds."""
        return min(slo.limit for slo in self.slos)


DEFAULT = Slo("p95", 50.0)


def combine(bounds: Iterable[Slo | Refusals]) -> Objective:
    """Everything that was asked for; nothing may be refused, and p95 < 50 ms, where nothing is said of it."""
    given = list(bounds)
    slos = tuple(bound for bound in given if isinstance(bound, Slo))
    shares = [bound.share for bound in given if isinstance(bound, Refusals)]
    return Objective(slos or (DEFAULT,), min(shares, default=0.0))


def parse_bound(text: str) -> Slo | Refusals:
    """Read a bound.

    Raises:
        SloError: it is none.
    """
    match = re.fullmatch(r"refused=([0-9]*\.?[0-9]+)%", text)
    if match is not None and float(match[1]) < 100:
        return Refusals(float(match[1]) / 100)
    match = re.fullmatch(r"(\w+)=([0-9]*\.?[0-9]+)(ms|s)", text)
    if match is None or match[1] not in _SHARES or float(match[2]) == 0:
        known = ", ".join(_SHARES)
        raise SloError(
            f"{text!r} is not allowed: give MEASURE=TIME such as p95=50ms, of {known}, in ms or s; or "
            "refused=SHARE such as refused=0.1%"
        )
    return Slo(match[1], float(match[2]) * _UNITS[match[3]])


def percent(share: float) -> str:
    """A share (0..1) to three digits."""
    return f"{100 * share:.3g}%"
