"""A run's measurements in, sentences on what it did not hold out."""

from collections.abc import Sequence

from loadtest.results import MOST_IN_FLIGHT, Measured, Result, percentile
from loadtest.slo import Slo

_LEAST_OFFERED = 0.99
_MOST_CPU = 0.9
_LAG_SHARE, _LEAST_LAG_MS = 0.2, 5.0  # of the tightest limit, that the generator may be late (p99)


def find_breaches(measured: Measured, slos: Sequence[Slo]) -> list[str]:
    """What the run did not hold, a sentence each; empty when all is well."""
    if not measured.results:
        return ["no request was answered"]
    ordered = sorted(result.milliseconds for result in measured.results)
    broken = [breach for slo in slos if (breach := slo.breach(ordered))]
    return [*_failures(measured), *broken, *find_bottlenecks(measured, slos)]


def find_bottlenecks(measured: Measured, slos: Sequence[Slo]) -> list[str]:
    """Where the generator, and not the service, may have decided the times."""
    found = []
    achieved, offered = measured.achieved_rate, measured.offered_rate
    if achieved < _LEAST_OFFERED * offered:
        found.append(
            f"only {achieved:.1f} of {offered:.1f} requests/s were offered, {achieved / offered:.1%}: the "
            "generator can't send more; raise --processes"
        )
    most_lag = max(_LEAST_LAG_MS, _LAG_SHARE * min((slo.limit for slo in slos), default=0.0))
    if (lag := lag_p99(measured)) > most_lag:
        found.append(
            f"the generator was the bottleneck: it was late by {lag:.2f} ms (p99), more than {most_lag:g} ms"
        )
    busiest = max(one.cpu for one in measured.generators)
    if busiest > _MOST_CPU:
        found.append(
            f"the generator was the bottleneck: a process of it took {busiest:.0%} of a CPU, more than "
            f"{_MOST_CPU:.0%}; raise --processes"
        )
    if max(one.peak_in_flight for one in measured.generators) >= MOST_IN_FLIGHT:
        found.append(f"{MOST_IN_FLIGHT} requests were in flight, so that more had to wait in the generator")
    return found


def lag_p99(measured: Measured) -> float:
    """How late the generator was, in milliseconds."""
    lags = measured.lags_ms
    return percentile(lags, 0.99) if lags else 0.0


def _failures(measured: Measured) -> list[str]:
    results, offered = measured.results, measured.offered
    failed: list[Result] = [result for result in results if result.error is not None]
    found = []
    if failed:
        found.append(f"{len(failed)} of {len(results)} requests failed, the first with: {failed[0].error}")
    if len(results) < offered:
        found.append(f"{offered - len(results)} of {offered} requests were never answered")
    return found
