"""docs/operations.md, and what its statements are held against."""

import re

from tests.deploy.watching import DASHBOARD, RULES
from tests.support import ROOT

RUNBOOK = ROOT / "docs" / "operations.md"


def text() -> str:
    """The runbook."""
    return RUNBOOK.read_text(encoding="utf-8")


def sections() -> dict[str, str]:
    """Its third-level sections, by heading."""
    parts = re.split(r"^(#+) (.*)$", text(), flags=re.MULTILINE)[1:]
    return {parts[i + 1]: parts[i + 2] for i in range(0, len(parts), 3) if parts[i] == "###"}


def rows(width: int) -> list[list[str]]:
    """The rows of its tables with that many columns, without the headings' rows."""
    lines = [line for line in text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if len(row) == width]


def documented_metrics() -> dict[str, tuple[str, set[str], str]]:
    """Type, labels and meaning of each metric in its table."""
    return {
        name.strip("`"): (kind, set(re.findall(r"`(\w+)`", labels)), meaning)
        for name, kind, labels, meaning in rows(4)
        if name.startswith("`glimpse_")
    }


def documented_log_fields() -> set[str]:
    """The fields in its table of them."""
    tables = text().partition("| Field |")[2].partition("\n\n")[0]
    names = (line.split(" | ")[0] for line in tables.splitlines()[2:])
    return {name for cell in names for name in re.findall(r"`(\w+)`", cell)}


def named_metrics() -> set[str]:
    """Every metric that the rules, the dashboard or the runbook names, recorded ones among them."""
    whole = text() + "".join(path.read_text(encoding="utf-8") for path in (RULES, DASHBOARD))
    return set(re.findall(r"(?<![\w:/])(?:\w+:)?glimpse_\w+(?::\w+)?", whole))
