"""What a run measured: every request's time and outcome, and how the generator itself fared."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

MOST_IN_FLIGHT = 1000  # connections that a generator opens
_BUSY = 503


@dataclass(frozen=True)
class Result:
    """One request, timed from the moment it was due."""

    name: str
    milliseconds: float
    error: str | None
    status: int = 200  # 0 where nothing was answered
    retry_after: str | None = None  # the answer's header
    due: float = 0.0  # seconds since the run began

    @property
    def is_refusal(self) -> bool:
        """Whether the service had no room for it, and said when to come back."""
        return self.error is not None and self.status == _BUSY and (self.retry_after or "").isdecimal()


@dataclass(frozen=True)
class Generator:
    """One process that sent requests."""

    cpu: float  # share of one CPU that it took while it sent, 0..1
    offered: int  # requests that were due
    sending_seconds: float  # that it took to send them, at least those in which they were due
    peak_in_flight: int
    lags_ms: list[float]  # how late each request was sent


@dataclass(frozen=True)
class Measured:
    """What came of a run: of every answer or failure, from all generators."""

    results: list[Result]
    generators: list[Generator]
    seconds: float  # during which requests were due

    @property
    def offered(self) -> int:
        """How many requests were due."""
        return sum(one.offered for one in self.generators)

    @property
    def offered_rate(self) -> float:
        """Requests per second that were due."""
        return self.offered / self.seconds

    def achieved_rate(self, tolerance: float = 0.0) -> float:
        """Requests per second that were sent: fewer where sending took longer, by over `tolerance` s."""
        return sum(
            one.offered / max(self.seconds, one.sending_seconds - tolerance) for one in self.generators
        )

    @property
    def timed(self) -> list[Result]:
        """What percentiles are of: all but refusals, which are quick and help nobody."""
        return [result for result in self.results if not result.is_refusal]

    @property
    def refused(self) -> int:
        """How many requests the service had no room for."""
        return len(self.results) - len(self.timed)

    @property
    def lags_ms(self) -> list[float]:
        """How late each request was sent, in ascending order."""
        return sorted(lag for one in self.generators for lag in one.lags_ms)


@dataclass(frozen=True)
class Summary:
    """Percentiles of one kind of request, in milliseconds."""

    name: str
    count: int
    p50: float
    p95: float
    p99: float
    largest: float


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the ascending values that at least `share` (0..1) of them do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summarise(name: str, results: Sequence[Result]) -> Summary:
    """Percentiles over `results`, of which there must be at least one."""
    times = sorted(result.milliseconds for result in results)
    p50, p95, p99 = (percentile(times, share) for share in (0.50, 0.95, 0.99))
    return Summary(name, len(times), p50, p95, p99, times[-1])


def summarise_kinds(results: Sequence[Result]) -> list[Summary]:
    """A summary of each kind, and one of all last; none where there are no results."""
    names = sorted({result.name for result in results})
    kinds = [summarise(name, [one for one in results if one.name == name]) for name in names]
    return [*kinds, summarise("all", results)] if results else []


def to_message(results: Sequence[Result], generator: Generator) -> dict[str, Any]:
    """What one generator measured, as JSON-able values."""
    return {"results": [asdict(result) for result in results], "generator": asdict(generator)}


def merge(messages: Sequence[Mapping[str, Any]], seconds: float) -> Measured:
    """What all generators measured, with every single time kept."""
    results = [Result(**one) for message in messages for one in message["results"]]
    results.sort(key=lambda result: result.due)
    return Measured(results, [Generator(**message["generator"]) for message in messages], seconds)
