"""What an experiment is, and what comes of one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from chaos.lab import Lab
from loadtest.svg import Chart


class Skipped(Exception):
    """The experiment can't be made on this machine; the message says what it needs."""


class Verdict(Enum):
    """How an experiment ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    BROKEN = "not run"


@dataclass(frozen=True)
class Outcome:
    """What was seen: figures as they are shown, and a sentence for each part of the criterion that broke."""

    figures: Mapping[str, str]
    breaches: Sequence[str]
    charts: Sequence[Chart] = ()
    # A head and rows, for a file of their own.
    series: Sequence[Sequence[object]] = ()


@dataclass(frozen=True)
class Experiment:
    """One failure that is made on purpose.

    `does` says what is done, with {extent} where a number stands that differs between the short and the long
    form; `run` does that much of it.
    """

    name: str
    does: str
    criterion: str
    short: int
    long: int
    run: Callable[[Lab, int], Outcome]

    def describe(self, extent: int) -> str:
        """What is done, to this extent."""
        return self.does.format(extent=f"{extent:,}")


@dataclass(frozen=True)
class Result:
    """An experiment that is over; `outcome` is None, and `reason` a sentence, where it was not made."""

    experiment: Experiment
    extent: int
    seconds: float
    verdict: Verdict
    outcome: Outcome | None = None
    reason: str = ""

    @property
    def done(self) -> str:
        """What was done."""
        return self.experiment.describe(self.extent)

    @property
    def figures(self) -> str:
        """All of them, or why there are none."""
        if self.outcome is None:
            return self.reason
        return ", ".join(f"{name} {value}" for name, value in self.outcome.figures.items())

    @property
    def breaches(self) -> Sequence[str]:
        """What did not hold."""
        return () if self.outcome is None else self.outcome.breaches
