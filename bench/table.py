"""Figures in, Markdown tables out."""

from collections.abc import Iterable, Mapping, Sequence

from bench.figures import Service
from bench.service import BATCH, FORM
from service.bench import Row

BEGIN = "<!-- begin: python -m bench -->"
SUMMARY_BEGIN = "<!-- begin: python -m bench --summary -->"


def to_markdown(alone: Sequence[Row], services: Sequence[Service], facts: Mapping[str, str]) -> str:
    """Everything, and how it was measured."""
    told = "; ".join(f"{name}: {value}" for name, value in facts.items())
    parts = [
        "A model alone, in process, one thread; milliseconds a call:",
        _table(("model", "variant", "engine", "batch", "calls", "p50", "p95", "p99"), map(_alone_row, alone)),
        "The service with `GLIMPSE_MAX_WAIT_MS=1000`, asked again at each answer; medians of the rounds:",
        _table(
            ("model", "each call", "connections", "n", "pictures/s", "least to most", "p50", "p95", "p99"),
            (row for one in services for row in _closed_rows(one)),
        ),
        "The service, calls at a rate, each timed from when it was due:",
        _table(
            ("model", "each call", "rate", "due", "n", "refused", "p50", "p95", "p99"),
            (row for one in services for row in _open_rows(one)),
        ),
        "Its start, and what each worker holds for itself, before and after many requests:",
        _table(("model", "ready after", "requests", "MB before", "MB after"), map(_memory_row, services)),
        f"{told}.",
    ]
    return "\n\n".join(parts)


def to_summary(alone: Sequence[Row], services: Sequence[Service]) -> str:
    """What most people ask, a column a model."""
    rows = [
        ("requests/s, 16 connections", [f"{_at(one, FORM, 16, 'rate'):,.0f}" for one in services]),
        ("pictures/s, batches of 32", [f"{_at(one, BATCH, 1, 'rate'):,.0f}" for one in services]),
        ("p50, p99 on one connection", [_pair(one, 1) for one in services]),
        ("p50, p99 on 16 connections", [_pair(one, 16) for one in services]),
        ("the model alone, p50", [_alone_p50(alone, one.model) for one in services]),
        ("ready after", [f"{one.ready:.1f} s" for one in services]),
    ]
    return _table(("", *(one.model for one in services)), ((name, *cells) for name, cells in rows))


def _alone_row(row: Row) -> tuple[str, ...]:
    times = (f"{value:.3f}" for value in (row.p50, row.p95, row.p99))
    return (f"{row.model}/{row.version}", row.variant, row.engine, str(row.batch), f"{row.calls:,}", *times)


def _closed_rows(service: Service) -> Iterable[tuple[str, ...]]:
    for one in service.closed:
        times = (f"{one.median(field):.2f}" for field in ("p50", "p95", "p99"))
        rate = f"{one.median('rate'):,.0f}"
        yield (service.model, one.kind, str(one.connections), f"{one.n:,}", rate, one.spread, *times)


def _open_rows(service: Service) -> Iterable[tuple[str, ...]]:
    for one in service.opened:
        times = (f"{value:.2f}" for value in (one.p50, one.p95, one.p99))
        n, refused = f"{one.n:,}", f"{one.refused:,}"
        yield (service.model, one.kind, f"{one.rate:g}/s", one.due, n, refused, *times)


def _memory_row(service: Service) -> tuple[str, ...]:
    held = (", ".join(f"{mb:.0f}" for mb in each) for each in (service.memory.before, service.memory.after))
    return (service.model, f"{service.ready:.2f} s", f"{service.memory.requests:,}", *held)


def _at(service: Service, kind: str, connections: int, field: str) -> float:
    return next(
        one.median(field) for one in service.closed if (one.kind, one.connections) == (kind, connections)
    )


def _pair(service: Service, connections: int) -> str:
    p50, p99 = (_at(service, FORM, connections, field) for field in ("p50", "p99"))
    return f"{p50:.1f}, {p99:.1f} ms"


def _alone_p50(alone: Sequence[Row], model: str) -> str:
    """By variant, of the newest version: that of its fastest engine."""
    rows = [row for row in alone if row.model == model and row.batch == 1]
    newest = sorted((row for row in rows if row.version == rows[-1].version), key=lambda row: row.p50)
    fastest = {row.variant: row for row in reversed(newest)}
    return ", ".join(f"{name}{_by(row)} {row.p50:.2f} ms" for name, row in sorted(fastest.items()))


def _by(row: Row) -> str:
    return "" if row.engine == "onnxruntime" else f" by {row.engine}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
