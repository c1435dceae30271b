"""Two records in, one HTML page out that sets them side by side."""

from html import escape
from typing import Any

from loadtest.page import document, table
from loadtest.plots import charts_of, distribution
from loadtest.record import Record
from loadtest.svg import draw

_TIMES = (("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("max", "largest"))
_MUST_BE_ALIKE = ("machine", "CPUs of the service", "CPUs of the generator", "scenario")


def render_comparison(first: Record, second: Record, names: tuple[str, str]) -> str:
    """What both measured, with the change from the first, A, to the second, B."""
    verdicts = [
        (letter, name, "passed" if record["passed"] else "failed", " ".join(record["verdict"]))
        for letter, name, record in zip("AB", names, (first, second), strict=True)
    ]
    left, right = ("".join(map(draw, charts_of(record))) for record in (first, second))
    both = distribution((("A", first), ("B", second)))
    parts = [
        "<h1>Two load tests</h1>",
        table(["", "report", "", "verdict"], verdicts),
        _warning(first, second),
        "<h2>Latency of all requests that were not refused, median of the runs</h2>",
        table(["ms", "A", "B", "change"], _changes(first, second)),
        f'<h2>Distribution</h2><div class="charts">{draw(both)}<div></div></div>',
        f'<h2>Charts of A and of B</h2><div class="charts"><div>{left}</div><div>{right}</div></div>',
        "<h2>How they were measured</h2>",
        table(["", "A", "B", ""], _facts(first, second)),
    ]
    return document("Two load tests", "\n".join(parts))


def _warning(first: Record, second: Record) -> str:
    """What makes the two hard to compare."""
    differ = [name for name in _MUST_BE_ALIKE if first["facts"].get(name) != second["facts"].get(name)]
    if _offered(first) != _offered(second):
        differ.append("rate")
    if not differ:
        return ""
    return f'<p class="failed">Not like for like, they differ in: {escape(", ".join(differ))}.</p>'


def _changes(first: Record, second: Record) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for shown, name in _TIMES:
        if name in first["spread"] and name in second["spread"]:
            before, after = first["spread"][name][1], second["spread"][name][1]
            rows.append((shown, before, after, f"{after / before - 1:+.1%}"))
    rows.append(("requests/s offered", _offered(first), _offered(second), ""))
    rows.append(("failed or refused", _failed(first), _failed(second), ""))
    return rows


def _offered(record: Record) -> float:
    runs: list[dict[str, Any]] = record["runs"]
    return float(runs[0]["offered_rate"]) if runs else 0.0


def _failed(record: Record) -> str:
    requests = sum(run["n"] for run in record["runs"])
    failed = sum(run["n"] * run["failed"] for run in record["runs"])
    return f"{failed:.0f} of {requests}"


def _facts(first: Record, second: Record) -> list[tuple[str, str, str, str]]:
    rows = []
    for name in {**first["facts"], **second["facts"]}:
        before, after = (record["facts"].get(name, "") for record in (first, second))
        rows.append((name, before, after, "" if before == after else "differs"))
    return rows
