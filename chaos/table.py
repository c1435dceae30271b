"""Results in, tables of them out: for a terminal, and in Markdown."""

import textwrap
from collections.abc import Mapping, Sequence

from chaos.experiment import Result

BEGIN = "<!-- begin: python -m chaos -->"
HEAD = ("experiment", "what was done", "figures", "criterion", "verdict")
_WIDTH, _INDENT = 110, " " * 14


def to_text(results: Sequence[Result]) -> str:
    """For a terminal: a paragraph for each, its name and verdict first."""
    return "\n".join(_paragraph(result) for result in results)


def rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """As HEAD says."""
    return [
        (
            result.experiment.name,
            result.done,
            "; ".join([result.figures, *result.breaches]),
            result.experiment.criterion,
            result.verdict.value,
        )
        for result in results
    ]


def to_markdown(results: Sequence[Result], facts: Mapping[str, str]) -> str:
    """A table, and where it was measured."""
    lines = [HEAD, tuple("---" for _ in HEAD), *rows(results)]
    table = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
    return f"{table}\n\n{'; '.join(f'{name}: {value}' for name, value in facts.items())}."


def _paragraph(result: Result) -> str:
    lines = [
        f"{result.verdict.value}: {result.done}",
        f"criterion: {result.experiment.criterion}",
        f"figures: {result.figures}",
        *(f"BROKEN: {breach}" for breach in result.breaches),
    ]
    wrapped = [
        textwrap.fill(line, _WIDTH, initial_indent=_INDENT, subsequent_indent=f"{_INDENT}  ")
        for line in lines
    ]
    return f"{result.experiment.name:<{len(_INDENT)}}" + "\n".join(wrapped)[len(_INDENT) :]
