"""Answers in, a table or lines of JSON out, and how far it is on a terminal."""

import json
import sys
from collections.abc import Iterable
from typing import Any

from service.client.text import columns, padded, shown

_WIDEST_FILE, _WIDEST_CLASS = 60, 30  # columns; what is longer is shown whole, out of line
_MOST_OF_A_SET = 8  # classes; a model with thousands may be unsure among hundreds
_GAP = "  "
_MANY = 8  # pictures, from which on it is worth saying how far it is


class Table:
    """A line a picture, aligned before all of them are known."""

    def __init__(self, names: Iterable[str], class_names: Iterable[str]) -> None:
        self._file_width = _widest(["FILE", *names], _WIDEST_FILE)
        self._class_width = _widest(["CLASS", *class_names], _WIDEST_CLASS)

    def head(self) -> str:
        """The names of the columns."""
        return self._row("FILE", "CLASS", "CONFIDENCE", "PREDICTION SET")

    def line(self, name: str, answer: dict[str, Any]) -> str:
        """One picture's file name and answer."""
        if "error" in answer:
            message = shown(str(answer["error"].get("message")))
            return f"{padded(shown(name), self._file_width)}{_GAP}FAILED: {message}"
        best = answer["prediction"]
        confidence = f"{best['confidence']:>6.1%}{' low' if answer['low_confidence'] else '    '}"
        return self._row(shown(name), shown(best["class"]), confidence, _set(answer["prediction_set"]))

    def _row(self, name: str, class_name: str, confidence: str, classes: str) -> str:
        cells = padded(name, self._file_width), padded(class_name, self._class_width), confidence
        return _GAP.join((*cells, classes)).rstrip()


class JsonLines:
    """A JSON document a line, for other programs."""

    def head(self) -> None:
        """Nothing: every line stands for a picture."""

    def line(self, name: str, answer: dict[str, Any]) -> str:
        """One picture's file name and answer, in ASCII, so that any file name survives."""
        return json.dumps({"file": name, **answer})


class Progress:
    """How many of how many, in the last line of a terminal; nothing where standard error is none."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._is_shown = total >= _MANY and sys.stderr.isatty()

    def show(self, done: int) -> None:
        """Write it, over what was there."""
        if self._is_shown:
            sys.stderr.write(f"\r{done} of {self._total} ")
            sys.stderr.flush()

    def clear(self) -> None:
        """Make room for a line of output."""
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _widest(texts: Iterable[str], most: int) -> int:
    widths = (columns(shown(text)) for text in texts)
    return max(width for width in widths if width <= most)


def _set(classes: list[str]) -> str:
    more = len(classes) - _MOST_OF_A_SET
    text = ", ".join(shown(name) for name in classes[:_MOST_OF_A_SET])
    return f"{text} and {more} more" if more > 0 else text
