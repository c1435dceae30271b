"""What a user asked for in, a table and a file of settings out."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from service.bundle import read_bundle
from service.client.errors import PictureError, UsageError
from service.client.pictures import find_pictures
from service.cpus import usable_cpus
from service.errors import BundleError
from service.settings import Settings, SettingsError, read_settings
from service.settings_file import check_writable, update_settings
from service.started import StartError
from service.tune.calls import CallError
from service.tune.choice import Trial, Untunable, choose, settings_for
from service.tune.setups import Setup, candidates
from service.tune.trial import Batch, Level, answering_model, climb, largest_batch, serving, warm_up

_FILE = Path("glimpse.env")
_P95_MS = 50.0
_SECONDS = 1.5
_MOST_PICTURES = 200  # sent in turn; more would only fill the memory
_HEAD = f"{'workers':>7}{'threads':>9}{'connections':>13}{'requests/s':>12}{'p50 ms':>9}{'p95 ms':>9}"
_WRONG = (SettingsError, UsageError, PictureError, BundleError)
_FAILED = (Untunable, StartError, CallError)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add = parser.add_argument
    add("--p95-ms", type=_positive, default=_P95_MS, help="what 95%% of the calls may take (default: 50)")
    add(
        "--pictures",
        nargs="+",
        metavar="FILE",
        help="pictures, or folders of them, like those that will come (default: the model's golden ones)",
    )
    add("--to", type=Path, default=_FILE, metavar="FILE", help="file for the settings (default: glimpse.env)")
    add("--seconds", type=_positive, default=_SECONDS, help="length of each step (default: 1.5)")


def run(arguments: argparse.Namespace) -> int:
    """Tune; the exit status: 2 for wrong input, 1 where nothing holds or the service fails."""
    try:
        _tune(arguments)
    except (*_WRONG, *_FAILED) as error:
        print(f"tune: {error}", file=sys.stderr)
        return 2 if isinstance(error, _WRONG) else 1
    except KeyboardInterrupt:
        return 130
    return 0


def _tune(arguments: argparse.Namespace) -> None:
    """Try each setup, print what it does, write the settings of the best."""
    settings, target, seconds = read_settings(), arguments.p95_ms, arguments.seconds
    check_writable(arguments.to)
    pictures = _read(arguments.pictures or [])
    trials: list[Trial] = []
    for setup in candidates(usable_cpus()):
        with serving(setup, target) as url:
            if not trials:
                model, version = answering_model(url)
                pictures = pictures or _golden(settings, model, version)
                _say(f"{model}/{version}, {len(pictures)} pictures, p95 of at most {target:g} ms\n\n{_HEAD}")
            warm_up(url, pictures)
            levels = climb(url, pictures, target, seconds)
            trials.append(Trial(setup, list(_shown(setup, levels, target))))
    trial, level = choose(trials, target)
    with serving(trial.setup, target) as url:
        batch = largest_batch(url, pictures, target, seconds, settings.max_body_bytes)
    _say(f"\n{_describe(trial.setup, level, batch)}")
    head = f"What `python -m service tune` found for {model}/{version} and a p95 of {target:g} ms"
    values = settings_for(trial, batch, target)
    update_settings(arguments.to, values, head)
    _say("\n".join(f"  {name}={value}" for name, value in values.items()))
    _say(f"written: {arguments.to}; 'python -m service --settings {arguments.to}' takes them")


def _read(names: Sequence[str]) -> Sequence[bytes]:
    """The content of the pictures named.

    Raises:
        UsageError, PictureError: there are none, or one can't be read.
    """
    if not names:
        return ()
    found, _ = find_pictures(names)
    contents = []
    for picture in islice(found, _MOST_PICTURES):
        with picture.open() as file:
            contents.append(file.read())
    return contents


def _golden(settings: Settings, model: str, version: str) -> Sequence[bytes]:
    return read_bundle(settings.artifacts / model / version).golden.pictures


def _shown(setup: Setup, levels: Iterable[Level], target: float) -> Iterator[Level]:
    """The levels, each printed as it comes."""
    for level in levels:
        verdict = "" if level.holds(target) else "  too long" if not level.refused else "  refuses"
        figures = f"{level.connections:>13}{level.rate:>12,.0f}{level.p50:>9.2f}{level.p95:>9.2f}"
        _say(f"{setup.workers:>7}{setup.threads:>9}{figures}{verdict}")
        yield level


def _describe(setup: Setup, level: Level, batch: Batch) -> str:
    return (
        f"{setup}: {level.rate:,.0f} requests/s on {level.connections} connections, p95 {level.p95:.1f} ms; "
        f"{batch.pictures} pictures in a call, p95 {batch.p95:.1f} ms"
    )


def _positive(text: str) -> float:
    """A number above 0, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: give a number above 0")
    return value


def _say(text: str) -> None:
    print(text, flush=True)
