"""A record in, a folder with report.html and report.json out."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtest.compare import render_comparison
from loadtest.page import render
from loadtest.record import Record, RecordError, read_bench, read_record, write_record, write_whole

PAGE, COMPARISON = "report.html", "comparison.html"


def prepare_report(folder: Path | None, bench: Path | None = None) -> Mapping[str, Any] | None:
    """See that a report can be written, before anything is measured for it; the bench's result, if any.

    Raises:
        RecordError: it can't, or the bench's file has no result.
    """
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise RecordError(
                f"--report {str(folder)!r}: {error.strerror}: give a folder that can be written to"
            ) from error
    return None if bench is None else read_bench(bench)


def write_report(folder: Path, record: Record) -> Path:
    """Write both; the page's path.

    Raises:
        RecordError: they can't be written there.
    """
    write_record(folder, record)
    page = folder / PAGE
    write_whole(page, render(record))
    return page


def write_comparison(folder: Path, first: Path, second: Path) -> Path:
    """Set two reports side by side; the page's path.

    Raises:
        RecordError: one of them is no report, or the page can't be written.
    """
    records = read_record(first), read_record(second)
    page = folder / COMPARISON
    write_whole(page, render_comparison(*records, (str(first), str(second))))
    return page
