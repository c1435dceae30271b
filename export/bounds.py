"""What a figure must keep, in numbers and in the words of a manifest."""

import re
from dataclasses import dataclass
from typing import Literal

_NUMBER = r"[0-9.e+-]+"
_WORDS = re.compile(
    rf"at (?P<side>most|least) (?P<value>{_NUMBER})"
    rf"(?: [+-] (?P<allowance>{_NUMBER}) for (?P<pictures>\d+) pictures)?"
    r"(?: \((?P<note>.+)\))?"
)


@dataclass(frozen=True)
class Bound:
    """At most or at least a value; an allowance for the chance of so few pictures loosens it."""

    side: Literal["most", "least"]
    value: float
    allowance: float = 0.0
    pictures: int = 0
    note: str = ""  # how the value came about

    def kept_by(self, figure: float) -> bool:
        """Whether the figure keeps it, both as they are written down; NaN keeps none."""
        if self.side == "most":
            return rounded(figure) <= rounded(self.value + self.allowance)
        return rounded(figure) >= rounded(self.value - self.allowance)

    def __str__(self) -> str:
        sign = "+" if self.side == "most" else "-"
        allowance = f" {sign} {self.allowance:g} for {self.pictures} pictures" if self.allowance else ""
        note = f" ({self.note})" if self.note else ""
        return f"at {self.side} {self.value:g}{allowance}{note}"


def read_bound(words: str) -> Bound:
    """The bound that is written so.

    Raises:
        ValueError: none is.
    """
    match = _WORDS.fullmatch(words)
    if match is None:
        raise ValueError(f"{words!r} is no limit")
    return Bound(
        side="most" if match["side"] == "most" else "least",
        value=float(match["value"]),
        allowance=float(match["allowance"] or 0),
        pictures=int(match["pictures"] or 0),
        note=match["note"] or "",
    )


def rounded(figure: float) -> float:
    """To the six digits that are written down; the rest differs between machines."""
    return float(f"{figure:.6g}")
