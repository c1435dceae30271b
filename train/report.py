"""A split data set in; what its owner should know before training out: counts, leaks, unreadable files."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.cache import Decoded
from train.sources import DataError, Listing
from train.splits import Splits

logger = logging.getLogger(__name__)

IMBALANCE_LIMIT = 10.0  # from here on, accuracy says little about the rare classes
_SHOWN = 10
_CLASSES_SHOWN = 20


@dataclass(frozen=True)
class DataReport:
    """What was found. All of it is JSON.

    counts: of training, held-out and test pictures, by class name.
    imbalance: the largest class's training pictures for each of the smallest's.
    leaks: pairs of names in different splits with the same pixels.
    contradictions: pairs of names with the same pixels in different classes.
    unreadable: name and reason.
    passed_over: names among the pictures that are no files.
    """

    counts: dict[str, tuple[int, int, int]]
    imbalance: float
    leaks: Sequence[tuple[str, str]]
    contradictions: Sequence[tuple[str, str]]
    unreadable: Sequence[str]
    passed_over: Sequence[str]

    def problems(self) -> Iterator[str]:
        """A text for each kind of problem that there is, naming the files."""
        if self.unreadable:
            yield f"{len(self.unreadable)} unreadable files are left out:{_listed(self.unreadable)}"
        if self.passed_over:
            count = len(self.passed_over)
            yield f"{count} folders inside class folders are not read:{_listed(self.passed_over)}"
        if self.leaks:
            pairs = [" = ".join(pair) for pair in self.leaks]
            yield f"{len(pairs)} pictures are in two splits (a leak):{_listed(pairs)}"
        if self.contradictions:
            pairs = [" = ".join(pair) for pair in self.contradictions]
            yield f"{len(pairs)} pictures are the same in different classes:{_listed(pairs)}"
        if self.imbalance >= IMBALANCE_LIMIT:
            yield (
                f"the largest class has {self.imbalance:.0f} times the training pictures of the smallest: "
                "--balance draws all classes equally often"
            )


def inspect(listing: Listing, splits: Splits, decoded: Decoded) -> DataReport:
    """Count, and look for the same pixels in several places."""
    parts = (splits.train, splits.held_out, splits.test)
    labels = np.array(listing.labels)
    counts = [np.bincount(labels[part], minlength=len(listing.class_names)).tolist() for part in parts]
    names = [picture.name for picture in listing.pictures]

    firsts: dict[bytes, tuple[int, int]] = {}  # digest -> the split and index that have it first
    leaks, contradictions = [], []
    for split, part in enumerate(parts):
        for index in part.tolist():
            first_split, first = firsts.setdefault(decoded.digests[index].tobytes(), (split, index))
            if first_split != split:
                leaks.append((names[first], names[index]))
            if labels[first] != labels[index]:
                contradictions.append((names[first], names[index]))
    return DataReport(
        counts=dict(zip(listing.class_names, zip(*counts, strict=True), strict=True)),
        imbalance=max(counts[0]) / min(counts[0]),
        leaks=leaks,
        contradictions=contradictions,
        unreadable=[f"{names[index]}: {problem}" for index, problem in sorted(decoded.problems.items())],
        passed_over=listing.passed_over,
    )


def present(report: DataReport, *, strict: bool) -> None:
    """Log the counts and every problem.

    Raises:
        DataError: `strict`, and there are problems.
    """
    logger.info("%8s %8s %8s  class", "train", "held out", "test")
    ordered = list(report.counts.items())
    if len(ordered) > _CLASSES_SHOWN:
        ordered.sort(key=lambda item: -item[1][0])
    half = _CLASSES_SHOWN // 2
    shown = ordered if len(ordered) <= _CLASSES_SHOWN else ordered[:half] + ordered[-half:]
    for position, (name, counts) in enumerate(shown):
        if position == half and len(shown) < len(ordered):
            logger.info("%8s %8s %8s  (%d more)", "...", "...", "...", len(ordered) - len(shown))
        logger.info("%8d %8d %8d  %s", *counts, name)
    totals = Counter[int]()
    for counts in report.counts.values():
        totals.update(dict(enumerate(counts)))
    logger.info("%8d %8d %8d  in %d classes", totals[0], totals[1], totals[2], len(ordered))
    logger.info("largest class to smallest: %.2f", report.imbalance)
    problems = list(report.problems())
    for problem in problems:
        logger.warning("%s", problem)
    if problems and strict:
        raise DataError(f"the data has {len(problems)} kinds of problems (above), and --strict allows none")


def remind(report: DataReport, file: Path) -> None:
    """Log the problems once more, after epochs of other lines; `file` has what they concern."""
    for problem in report.problems():
        logger.warning("%s; see %s", problem.partition("\n")[0].removesuffix(":"), file)


def _listed(names: Sequence[str]) -> str:
    more = [f"and {len(names) - _SHOWN} more, in the run's data.json"] if len(names) > _SHOWN else []
    return "".join(f"\n  {name}" for name in [*names[:_SHOWN], *more])
