"""Results in, a folder with chaos.json, chaos.md, chaos.html, a CSV of each series and its charts out."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from chaos.experiment import Result
from chaos.table import HEAD, rows, to_markdown
from loadtest import page
from loadtest.record import write_whole
from loadtest.svg import draw, draw_alone

SCHEMA = 1
Facts = Mapping[str, str]


def write_report(folder: Path, results: Sequence[Result], facts: Facts) -> Path:
    """Write all of them; the page's path.

    Raises:
        RecordError: they can't be written there.
    """
    write_whole(folder / "chaos.json", json.dumps(_record(results, facts), indent=1) + "\n")
    write_whole(folder / "chaos.md", to_markdown(results, facts) + "\n")
    for result in results:
        name = result.experiment.name
        if result.outcome is not None and result.outcome.series:
            write_whole(folder / f"{name}.csv", _csv(result.outcome.series))
        for number, chart in enumerate(result.outcome.charts if result.outcome else (), start=1):
            write_whole(folder / f"{name}-{number}.svg", draw_alone(chart))
    target = folder / "chaos.html"
    write_whole(target, _page(results, facts))
    return target


def _record(results: Sequence[Result], facts: Facts) -> dict[str, object]:
    experiments = [
        {
            "name": result.experiment.name,
            "done": result.done,
            "extent": result.extent,
            "seconds": round(result.seconds, 1),
            "criterion": result.experiment.criterion,
            "figures": dict(result.outcome.figures) if result.outcome else {},
            "breaches": list(result.breaches),
            "reason": result.reason,
            "verdict": result.verdict.value,
        }
        for result in results
    ]
    return {"schema": SCHEMA, "facts": dict(facts), "experiments": experiments}


def _csv(series: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(series)
    return text.getvalue()


def _page(results: Sequence[Result], facts: Facts) -> str:
    charts = [draw(chart) for result in results if result.outcome for chart in result.outcome.charts]
    parts = [
        "<h1>Failures on purpose</h1>",
        page.table(HEAD, rows(results)),
        f'<div class="charts">{"".join(charts)}</div>' if charts else "",
        "<h2>Where it was measured</h2>",
        page.table(["", ""], facts.items()),
    ]
    return page.document("Failures on purpose", "\n".join(parts))
