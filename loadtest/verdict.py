"""Every request's time in, a sentence on whether the service held its promise out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One request, timed from the moment it was due."""

    name: str
    milliseconds: float
    error: str | None
    status: int = 200  # 0 where nothing was answered
    retry_after: str | None = None  # the answer's header


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


def find_breaches(results: Sequence[Result], offered: int, limit_p95: float) -> list[str]:
    """What the run did not hold, a sentence each; empty when all is well.

    Args:
        results: of every request that was answered or failed.
        offered: how many were due.
        limit_p95: milliseconds; reaching it is a breach.
    """
    if not results:
        return ["no request was made"]
    breaches = []
    failed = [result for result in results if result.error is not None]
    if failed:
        breaches.append(f"{len(failed)} of {len(results)} requests failed, the first with: {failed[0].error}")
    if len(results) < offered:
        breaches.append(f"{offered - len(results)} of {offered} requests were never answered")
    p95 = summarise("all", results).p95
    if p95 >= limit_p95:
        breaches.append(f"p95 is {p95:.2f} ms, {p95 - limit_p95:.2f} ms over the limit of {limit_p95:g} ms")
    return breaches
