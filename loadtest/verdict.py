"""A run's measurements in, sentences on what it did not hold out."""

from loadtest.results import MOST_IN_FLIGHT, Measured, percentile
from loadtest.slo import Objective, percent

_LEAST_OFFERED = 0.99
_MOST_CPU = 0.9
_LAG_SHARE, _LEAST_LAG_MS = 0.2, 5.0  # of the tightest limit, that the generator may be late (p99)


def find_breaches(measured: Measured, objective: Objective) -> list[str]:
    """What the run did not hold, a sentence each; empty when all is well."""
    if not measured.results:
        return ["no request was answered"]
    ordered = sorted(result.milliseconds for result in measured.timed)
    broken = [breach for slo in objective.slos if ordered and (breach := slo.breach(ordered))]
    failed = [*_failures(measured), *_refusals(measured, objective.refused)]
    return [*failed, *broken, *find_bottlenecks(measured, objective)]


def find_bottlenecks(measured: Measured, objective: Objective) -> list[str]:
    """Where the generator, and not the service, may have decided the times."""
    found = []
    most_lag = max(_LEAST_LAG_MS, _LAG_SHARE * objective.tightest)
    achieved, offered = measured.achieved_rate(most_lag / 1000), measured.offered_rate
    if achieved < _LEAST_OFFERED * offered:
        found.append(
            f"only {achieved:.1f} of {offered:.1f} requests/s were offered, {achieved / offered:.1%}: the "
            "generator fell behind; raise --processes"
        )
    if (lag := lag_p99(measured)) > most_lag:
        found.append(
            f"the generator was the bottleneck: it was late by {lag:.2f} ms (p99), more than {most_lag:g} "
            "ms; give it a CPU of its own by --apart, or another machine"
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
    total = len(measured.results)
    failed = [result.error for result in measured.timed if result.error is not None]
    found = []
    if failed:
        found.append(f"{len(failed)} of {total} requests failed, the first with: {failed[0]}")
    if total < measured.offered:
        found.append(f"{measured.offered - total} of {measured.offered} requests were never answered")
    return found


def _refusals(measured: Measured, allowed: float) -> list[str]:
    refused = [result.error for result in measured.results if result.is_refusal]
    share = len(refused) / len(measured.results)
    if share <= allowed:
        return []
    more = f"more than the {percent(allowed)} of the objective" if allowed else "and none may be"
    count = f"{len(refused)} of {len(measured.results)} requests were refused, {percent(share)}, {more}"
    return [f"{count}; the first with: {refused[0]}"]
