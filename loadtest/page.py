"""A record in, one HTML page out that loads nothing from elsewhere."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from loadtest.plots import charts_of
from loadtest.record import ENGINE, Record
from loadtest.scenarios import CIFAR
from loadtest.svg import STYLE, draw

_STYLE = f"""
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 84rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; }}
table {{ border-collapse: collapse; margin: 1rem 0; }} th, td {{ padding: .2rem .7rem; text-align: left; }}
td.number, th.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
tr {{ border-bottom: 1px solid #ddd; }} .passed {{ color: #006644; }} .failed {{ color: #b00020; }}
.charts {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(32rem, 1fr)); gap: 1rem; }}
svg {{ width: 100%; height: auto; background: #fff; }}
{STYLE}"""
_EXPLAINED = (
    "<p>Requests are due at moments drawn before the run, a Poisson process, and each is timed from when it "
    "was due to the last byte of its answer, so a stall counts for all that came due meanwhile. What was "
    "refused (503) is in no percentile; of fewer than 100 requests of a kind, p99 is the slowest. The "
    "expected class of a picture is what the service said of it before the run.</p>"
)
_TIMES = ("p50", "p95", "p99", "largest")


def render(record: Record) -> str:
    """The report of one measurement."""
    css_class = "passed" if record["passed"] else "failed"
    sentences = "".join(f'<p class="{css_class}">{escape(line)}</p>' for line in record["verdict"])
    parts = [
        f"<h1>Load test: {'passed' if record['passed'] else 'failed'}</h1>{sentences}",
        *(_run(run, index, len(record["runs"])) for index, run in enumerate(record["runs"], start=1)),
        _spread(record),
        _charts(record),
        _bench(record),
        "<h2>How it was measured</h2>",
        table(["", ""], record["facts"].items()),
        _EXPLAINED,
    ]
    return document("Load test", "\n".join(parts))


def document(title: str, body: str) -> str:
    """A whole page around the body."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; numbers are shown with two decimals."""
    lines = ["<table>"]
    if any(head):
        lines.append(f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>")
    lines += [f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows]
    return "\n".join([*lines, "</table>"])


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f'<td class="number">{value:,.2f}</td>'
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    return f"<td>{escape(str(value))}</td>"


def _run(run: dict[str, Any], index: int, runs: int) -> str:
    title = f"<h2>Run {index} of {runs}</h2>" if runs > 1 else "<h2>Latency</h2>"
    rows = [(row["name"], row["count"], *(row[name] for name in _TIMES)) for row in run["summaries"]]
    errors = [f"{count} times: {error}" for error, count in run["errors"].items()]
    lines = "".join(f"<p>{escape(line)}</p>" for line in (run["summary"], *run["notes"], *errors))
    return title + table(["ms", "n", "p50", "p95", "p99", "max"], rows) + lines


def _spread(record: Record) -> str:
    if len(record["runs"]) < 2:
        return ""
    rows = [(name, *values) for name, values in record["spread"].items()]
    return "<h2>Spread over the runs</h2>" + table(["ms", "least", "median", "most"], rows)


def _charts(record: Record) -> str:
    return f'<h2>Charts</h2><div class="charts">{"".join(map(draw, charts_of(record)))}</div>'


def _bench(record: Record) -> str:
    """The model alone beside the service, so that the cost of HTTP can be seen."""
    bench = record["bench"]
    if bench is None:
        return ""
    names = ("model", "version", "variant", "engine", "batch", "calls", "p50", "p95", "p99", "max")
    rows = [[{"engine": ENGINE, **row}[name] for name in names] for row in bench["rows"]]
    how = escape(", ".join(f"{name}: {value}" for name, value in bench["facts"].items()))
    return f"<h2>The model alone, in process</h2>{_cost(record)}{table(names, rows)}<p>{how}</p>"


def _cost(record: Record) -> str:
    model = str(record["facts"].get("model", ""))
    alone = [
        row
        for row in record["bench"]["rows"]
        if row["batch"] == 1
        and model.startswith(
            f"{row['model']} version {row['version']}, {row['variant']} by {row.get('engine', ENGINE)},"
        )
    ]
    over_http = [row for run in record["runs"][:1] for row in run["summaries"] if row["name"] == CIFAR]
    if not alone or not over_http:
        return ""
    whole, own = over_http[0]["p50"], alone[0]["p50"]
    return (
        f"<p>A PNG of 32x32 took {whole:.2f} ms over HTTP (p50), and the model alone {own:.2f} ms: "
        f"{whole - own:.2f} ms went into HTTP, decoding and waiting.</p>"
    )
