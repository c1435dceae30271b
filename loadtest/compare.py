"""Two records in, one HTML page out that sets them side by side."""

from typing import Any

from loadtest.page import document, table
from loadtest.plots import charts_of, distribution
from loadtest.record import Record
from loadtest.svg import draw

_TIMES = (("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("max", "largest"))


def render_comparison(first: Record, second: Record, names: tuple[str, str]) -> str:
    """What both measured, with the change from the first to the second."""
    verdicts = [
        (name, "passed" if record["passed"] else "failed", " ".join(record["verdict"]))
        for name, record in zip(names, (first, second), strict=True)
    ]
    both = ((names[0], first), (names[1], second))
    left, right = ("".join(map(draw, charts_of(record))) for record in (first, second))
    parts = [
        "<h1>Two load tests</h1>",
        table(["", "", ""], verdicts),
        "<h2>Latency of all requests, median of the runs</h2>",
        table(["ms", *names, "change"], _changes(first, second)),
        f'<h2>Distribution</h2><div class="charts">{draw(distribution(both))}<div></div></div>',
        f'<h2>Charts</h2><div class="charts"><div>{left}</div><div>{right}</div></div>',
        "<h2>How they were measured</h2>",
        table(["", *names, ""], _facts(first, second)),
    ]
    return document("Two load tests", "\n".join(parts))


def _changes(first: Record, second: Record) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for shown, name in _TIMES:
        if name in first["spread"] and name in second["spread"]:
            before, after = first["spread"][name][1], second["spread"][name][1]
            rows.append((shown, before, after, f"{after / before - 1:+.1%}"))
    rows.append(("requests/s offered", _rate(first), _rate(second), ""))
    return rows


def _rate(record: Record) -> float:
    runs: list[dict[str, Any]] = record["runs"]
    return float(runs[0]["offered_rate"]) if runs else 0.0


def _facts(first: Record, second: Record) -> list[tuple[str, str, str, str]]:
    rows = []
    for name in {**first["facts"], **second["facts"]}:
        before, after = (record["facts"].get(name, "") for record in (first, second))
        rows.append((name, before, after, "" if before == after else "differs"))
    return rows
