"""What was measured, in the shapes that tables and plots are made of."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# Many users' calls come at random moments, some while others are being answered; a camera's come evenly.
Due = Literal["at random", "evenly"]


@dataclass(frozen=True)
class Round:
    """Some seconds of calls on connections that ask again once they are answered; times in milliseconds."""

    n: int
    rate: float  # answers a second
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Closed:
    """Rounds of one kind of request on as many connections."""

    kind: str
    connections: int
    rounds: Sequence[Round]

    @property
    def n(self) -> int:
        """Answers in all rounds."""
        return sum(one.n for one in self.rounds)

    def median(self, field: str) -> float:
        """Of a field of the rounds."""
        values: list[float] = [getattr(one, field) for one in self.rounds]
        return statistics.median(values)

    @property
    def spread(self) -> str:
        """The lowest and the highest rate of a round."""
        rates = [one.rate for one in self.rounds]
        return f"{min(rates):,.0f} to {max(rates):,.0f}"


@dataclass(frozen=True)
class Open:
    """Requests that came when they liked, so many a second, each timed from when it was due."""

    kind: str
    rate: float
    due: Due
    n: int
    refused: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Memory:
    """What each worker held for itself alone, in MB, before and after many requests."""

    requests: int
    before: Sequence[float]
    after: Sequence[float]


@dataclass(frozen=True)
class Service:
    """What the service did with one model as its default."""

    model: str
    ready: float  # seconds from the start until all workers answered
    closed: Sequence[Closed]
    opened: Sequence[Open]
    memory: Memory
