"""A record in, its charts out."""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from loadtest.record import ANSWERED, FAILED, REFUSED, Record
from loadtest.results import percentile
from loadtest.svg import Chart, Point, Series

_MEASURES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
_MOST_BINS = 120
_NINES = [(0.0, "0"), (0.301, "50"), (1.0, "90"), (2.0, "99"), (3.0, "99.9"), (4.0, "99.99")]


def charts_of(record: Record) -> list[Chart]:
    """Every chart that the record has figures for; of several runs, the times are those of the first."""
    charts = [_knee(record), _failures(record)] if record["knee"] else []
    if record["runs"]:
        run = record["runs"][0]
        charts += [_over_time(record, run), distribution([("run", record)]), _throughput(run), _errors(run)]
    return charts


def distribution(named: Sequence[tuple[str, Record]]) -> Chart:
    """Latency at each percentile, for every run of every record and for the kinds where there is but one."""
    series = []
    for name, record in named:
        for index, run in enumerate(record["runs"], start=1):
            label = f"{name} {index}" if len(record["runs"]) > 1 else name
            series.append(Series(label, _percentiles([ms for _, ms in _timed(run)])))
    if len(series) == 1:
        series = [Series("all", series[0].points), *_kinds(named[0][1]["runs"][0])]
    furthest = max((x for one in series for x, _ in one.points), default=0.0)
    ticks = [tick for tick in _NINES if tick[0] <= furthest]
    limits = _limits(named[0][1])
    return Chart(
        "Distribution", "percent of requests that were faster", "ms", series, limits, ticks, log_y=True
    )


def _timed(run: dict[str, Any]) -> list[tuple[int, float]]:
    """The index and the milliseconds of each request but the refused ones."""
    requests = run["requests"]
    return [(at, ms) for at, ms in enumerate(requests["ms"]) if requests["outcome"][at] != REFUSED]


def _kinds(run: dict[str, Any]) -> list[Series]:
    by_kind = defaultdict(list)
    for index, milliseconds in _timed(run):
        by_kind[run["kinds"][run["requests"]["kind"][index]]].append(milliseconds)
    return [Series(kind, _percentiles(times)) for kind, times in by_kind.items()] if len(by_kind) > 1 else []


def _percentiles(times: Sequence[float]) -> list[Point]:
    """Evenly spaced in the number of nines, so that the slowest one in a thousand can be seen."""
    ordered = sorted(times)
    if not ordered:
        return []
    count = len(ordered)
    places = [math.log10(count) * step / 100 for step in range(101)]
    # That many were faster, and the last point is the slowest: all but one were.
    return [(place, ordered[min(count - 1, round(count - count * 10**-place))]) for place in places]


def _bins(run: dict[str, Any]) -> tuple[float, dict[int, list[int]]]:
    """The width in seconds, and the indices of the requests due in each."""
    width = max(1.0, math.ceil(run["seconds"] / _MOST_BINS))
    bins: dict[int, list[int]] = {index: [] for index in range(math.ceil(run["seconds"] / width))}
    for index, due in enumerate(run["requests"]["due_s"]):
        bins[min(int(due / width), len(bins) - 1)].append(index)
    return width, bins


def _over_time(record: Record, run: dict[str, Any]) -> Chart:
    width, bins = _bins(run)
    timed = dict(_timed(run))
    times = {at: sorted(timed[index] for index in indices if index in timed) for at, indices in bins.items()}
    series = [
        Series(name, [(width * at, percentile(ordered, share)) for at, ordered in times.items() if ordered])
        for name, share in _MEASURES
    ]
    return Chart("Latency over time", "s, when due", "ms", series, _limits(record), log_y=True)


def _throughput(run: dict[str, Any]) -> Chart:
    width, bins = _bins(run)
    due = [(width * at, len(indices) / width) for at, indices in bins.items()]
    answers: dict[int, int] = defaultdict(int)
    requests = run["requests"]
    for start, milliseconds, outcome in zip(
        requests["due_s"], requests["ms"], requests["outcome"], strict=True
    ):
        answers[int((start + milliseconds / 1000) / width)] += outcome == ANSWERED
    answered = [(width * at, answers[at] / width) for at in bins]
    series = [Series("due", due), Series("answered as they have to be", answered)]
    return Chart("Throughput", "s", "requests/s", series)


def _errors(run: dict[str, Any]) -> Chart:
    width, bins = _bins(run)
    outcomes = run["requests"]["outcome"]

    def rates(outcome: int) -> list[Point]:
        counts = {at: sum(outcomes[index] == outcome for index in due) for at, due in bins.items()}
        return [(width * at, count / width) for at, count in counts.items()]

    series = [Series("failed", rates(FAILED)), Series("refused", rates(REFUSED))]
    return Chart("Errors", "s, when due", "requests/s", series)


def _knee(record: Record) -> Chart:
    series = [Series(name, _by_rate(record, name), dots=True) for name in ("p50", "p95", "p99")]
    limits = _limits(record)
    return Chart("Latency against rate", "requests/s offered", "ms", series, limits, log_y=True)


def _failures(record: Record) -> Chart:
    """Beside the knee, because a service that refuses what is too much stays quick."""
    points = [(rate, 100 * share) for rate, share in _by_rate(record, "failed")]
    series = [Series("failed or refused", points, dots=True)]
    return Chart("Failures against rate", "requests/s offered", "percent", series)


def _by_rate(record: Record, name: str) -> list[Point]:
    """The median of the runs at each rate."""
    runs = defaultdict(list)
    for run in record["knee"]:
        if name in run:  # no percentiles where nothing was answered
            runs[float(run["rate"])].append(float(run[name]))
    return [(rate, statistics.median(values)) for rate, values in sorted(runs.items())]


def _limits(record: Record) -> list[tuple[str, float]]:
    return [(f"{slo['measure']} limit", slo["limit"]) for slo in record["objective"]["slos"]]
