"""A record in, a folder with report.html and report.json out."""

from pathlib import Path

from loadtest.compare import render_comparison
from loadtest.page import render
from loadtest.record import Record, read_record, write_record

PAGE, COMPARISON = "report.html", "comparison.html"


def write_report(folder: Path, record: Record) -> Path:
    """Write both; the page's path."""
    write_record(folder, record)
    page = folder / PAGE
    page.write_text(render(record), encoding="utf-8")
    return page


def write_comparison(folder: Path, first: Path, second: Path) -> Path:
    """Set two reports side by side; the page's path.

    Raises:
        RecordError: one of them is no report.
    """
    records = read_record(first), read_record(second)
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / COMPARISON
    page.write_text(render_comparison(*records, (str(first), str(second))), encoding="utf-8")
    return page
