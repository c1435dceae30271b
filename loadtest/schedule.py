"""A rate and a duration in, the moments at which requests are due out, drawn before the run."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtest.scenarios import Burst


@dataclass(frozen=True)
class Arrival:
    """A request to be sent, `due` seconds after the start, of a kind; `pick` chooses among its payloads."""

    due: float
    kind: str
    pick: float  # 0..1


def count_arrivals(rate: float, seconds: float, burst: Burst | None = None) -> int:
    """How many requests are due."""
    return round(rate * seconds) + (_count_more(rate, seconds, burst) if burst else 0)


def draw_arrivals(
    weights: Mapping[str, float], rate: float, seconds: float, burst: Burst | None = None, seed: int = 0
) -> list[Arrival]:
    """Poisson arrivals, in order; exactly as many as the rate says.

    A Poisson process whose number of events is known is that many moments drawn uniformly. So the offered
    rate is the one asked for, and not by chance some percent off.
    """
    rng = random.Random(seed)  # noqa: S311 - a schedule, not a secret
    moments = [rng.uniform(0, seconds) for _ in range(round(rate * seconds))]
    if burst is not None:
        length = min(burst.seconds, seconds)
        begin = (seconds - length) / 2
        more = _count_more(rate, seconds, burst)
        moments += [rng.uniform(begin, begin + length) for _ in range(more)]
    kinds = rng.choices(list(weights), list(weights.values()), k=len(moments))
    return [Arrival(due, kind, rng.random()) for due, kind in zip(sorted(moments), kinds, strict=True)]


def share_of(arrivals: Sequence[Arrival], index: int, shares: int, seed: int = 0) -> list[Arrival]:
    """The arrivals that generator `index` of `shares` sends; together they send each once.

    Each is drawn independently, so that what one generator sends is a Poisson process too.
    """
    rng = random.Random(f"{seed} shares")  # noqa: S311 - a schedule, not a secret
    return [arrival for arrival in arrivals if rng.randrange(shares) == index]


def _count_more(rate: float, seconds: float, burst: Burst) -> int:
    return round((burst.factor - 1) * rate * min(burst.seconds, seconds))
