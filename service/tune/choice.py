"""What each setup did in, the settings to run with out."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.tune.setups import Setup
from service.tune.trial import WAIT_SHARE, Batch, Level

_NOISE = 0.03  # a setup has to be faster by more than that to be taken instead of one with more workers


class Untunable(Exception):
    """No setup holds what was asked for; the message says what the best one does."""


@dataclass(frozen=True)
class Trial:
    """A setup, and what it did with one connection, two, four and so on."""

    setup: Setup
    levels: Sequence[Level]

    def best(self, target: float) -> Level | None:
        """The level with the highest rate of those that hold."""
        holding = [level for level in self.levels if level.holds(target)]
        return max(holding, key=lambda level: level.rate, default=None)


def choose(trials: Sequence[Trial], target: float) -> tuple[Trial, Level]:
    """The trial whose rate is the highest under a p95 of `target` milliseconds, and its level.

    Args:
        trials: those with the most workers first.
        target: milliseconds.

    Raises:
        Untunable: none holds even with one connection.
    """
    chosen: tuple[Trial, Level] | None = None
    for trial in trials:
        level = trial.best(target)
        if level and (chosen is None or level.rate > (1 + _NOISE) * chosen[1].rate):
            chosen = (trial, level)
    if chosen is None:
        fastest = min(trials, key=lambda trial: trial.levels[0].p95)
        raise Untunable(
            f"no setup keeps p95 at or below {target:g} ms: with one connection, {fastest.setup} "
            f"took {fastest.levels[0].p95:.1f} ms; give a longer --p95-ms, or export a smaller network"
        )
    return chosen


def settings_for(trial: Trial, batch: Batch, target: float) -> dict[str, str]:
    """The variables that have a service run as was tried."""
    # Of what comes on top of a wait, only the work is known here; the share leaves room for the rest.
    wait = min(WAIT_SHARE * target, target - trial.levels[0].p95)
    return {
        "GLIMPSE_WORKERS": str(trial.setup.workers),
        "GLIMPSE_THREADS": str(trial.setup.threads),
        "GLIMPSE_MAX_WAIT_MS": f"{wait:.3g}",
        "GLIMPSE_MAX_BATCH": str(batch.pictures),
    }
