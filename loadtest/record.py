"""Judged runs in, one JSON-able record out: every single time, and all that a report is made of."""

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeGuard

from loadtest.measure import Run
from loadtest.results import Result
from loadtest.slo import Objective
from loadtest.verdict import lag_p99

SCHEMA = 2
FILE = "report.json"
ANSWERED, FAILED, REFUSED = 0, 1, 2  # what became of a request
_KEYS = {"facts", "objective", "verdict", "passed", "runs", "spread", "knee", "bench"}
_BENCH_KEYS = {"model", "version", "variant", "batch", "calls", "p50", "p95", "p99", "max"}
ENGINE = "onnxruntime"  # the only one that there was when records named none
Record = dict[str, Any]


class RecordError(Exception):
    """No record of ours, or one that can't be kept."""


def build_record(
    runs: Sequence[Run],
    objective: Objective,
    facts: Mapping[str, str],
    verdict: Sequence[str],
    knee: Sequence[Mapping[str, Any]] = (),
    bench: Mapping[str, Any] | None = None,
) -> Record:
    """All that was measured; `verdict` is what the command says of it, a sentence each."""
    return {
        "schema": SCHEMA,
        "facts": dict(facts),
        "objective": asdict(objective),
        "verdict": list(verdict),
        "passed": all(not run.breaches for run in runs),
        "runs": [_describe(run) for run in runs],
        "spread": _spread(runs),
        "knee": list(knee),
        "bench": bench,
    }


def write_record(folder: Path, record: Record) -> None:
    """Write it into the folder.

    Raises:
        RecordError: it can't be written there.
    """
    write_whole(folder / FILE, json.dumps(record, separators=(",", ":")) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write the file whole, or leave what was there; its folder is made if need be.

    Raises:
        RecordError: it can't be written there.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise RecordError(f"{str(path)!r} can't be written: {error.strerror}") from error


def read_record(path: Path) -> Record:
    """A record from its file, or from the folder that it is in.

    Raises:
        RecordError: there is none.
    """
    file = path / FILE if path.is_dir() else path
    try:
        record = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise RecordError(f"{str(path)!r} holds no report: give a folder that --report wrote") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA or not record.keys() >= _KEYS:
        raise RecordError(f"{str(path)!r} holds no report of this version: measure again with --report")
    return record


def read_bench(path: Path) -> Mapping[str, Any]:
    """What `python -m service.bench --json` wrote.

    Raises:
        RecordError: it is something else.
    """
    try:
        bench = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RecordError(f"--bench {str(path)!r}: no result of 'make bench' is there") from error
    if not _is_bench(bench):
        raise RecordError(f"--bench {str(path)!r} is no result of this version: run 'make bench' again")
    return bench


def _is_bench(bench: Any) -> TypeGuard[Mapping[str, Any]]:  # noqa: ANN401 - whatever the JSON is
    if not isinstance(bench, dict) or not isinstance(bench.get("facts"), dict):
        return False
    rows = bench.get("rows")
    return isinstance(rows, list) and all(isinstance(row, dict) and row.keys() >= _BENCH_KEYS for row in rows)


def _describe(run: Run) -> Record:
    results = run.measured.results
    names = sorted({result.name for result in results})
    errors = Counter(result.error for result in results if result.error is not None)
    return {
        "load": asdict(run.load),
        "n": len(results),
        "seconds": run.measured.seconds,
        "offered_rate": run.measured.offered_rate,
        "achieved_rate": run.measured.achieved_rate(),
        "failed": run.failed,
        "refused": run.measured.refused,
        "lag_p99_ms": lag_p99(run.measured),
        "cpu": run.cpu,
        "summary": run.sum_up(),
        "breaches": run.breaches,
        "notes": run.notes,
        "summaries": [asdict(summary) for summary in run.summaries],
        "errors": dict(errors.most_common()),
        "kinds": names,
        "requests": {
            "due_s": [round(result.due, 4) for result in results],
            "ms": [round(result.milliseconds, 3) for result in results],
            "kind": [names.index(result.name) for result in results],
            "outcome": [_outcome(result) for result in results],
        },
    }


def _outcome(result: Result) -> int:
    if result.error is None:
        return ANSWERED
    return REFUSED if result.is_refusal else FAILED


def _spread(runs: Sequence[Run]) -> dict[str, list[float]]:
    """Least, median and most of the runs, of each percentile over all kinds, in milliseconds."""
    totals = [run.summaries[-1] for run in runs if run.summaries]
    rows = {}
    for name in ("p50", "p95", "p99", "largest"):
        values = [getattr(total, name) for total in totals]
        if values:
            rows[name] = [min(values), statistics.median(values), max(values)]
    return rows
