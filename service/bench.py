"""`python -m service.bench`: how long the models alone take, called in this process, without HTTP.

Prints a table of milliseconds a call by model, variant, engine and batch size; `--json FILE` keeps it for a
load test's report, so that the cost of all that is around the model can be seen.
"""

import argparse
import datetime as dt
import errno
import itertools
import json
import logging
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.bundle import Bundle, read_bundle
from service.classifier import Classifier
from service.errors import BundleError
from service.imaging import DEFAULT_LIMITS
from service.session import engines_that_may_gain

logger = logging.getLogger(__name__)

_CALLS = 1000
_BATCHES = (1, 4, 16)
_WARM_UP = 20  # calls, before which a new batch size has its memory allocated


@dataclass(frozen=True)
class Row:
    """Milliseconds a call of `batch` pictures."""

    model: str
    version: str
    variant: str
    engine: str
    batch: int
    calls: int
    p50: float
    p95: float
    p99: float
    max: float


def main() -> int:
    """Parse, measure, print; exit status 2 where nothing could be measured or written."""
    arguments = _parse()
    try:
        _bench(arguments)
    except BundleError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"bench: --json {str(arguments.json)!r} can't be written: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _bench(arguments: argparse.Namespace) -> None:
    if arguments.json:  # some minutes before there is anything to write
        _check_writable(arguments.json)
    rows = list(measure_bundles(_bundles(arguments), arguments.batch or _BATCHES, arguments.calls))
    if not rows:
        raise BundleError("none of the bundles can be measured here")
    print("\n".join(describe(rows)))
    if arguments.json:
        text = json.dumps({"facts": _facts(), "rows": [asdict(row) for row in rows]}, indent=1)
        part = arguments.json.with_name(f".{arguments.json.name}.part")
        part.write_text(f"{text}\n", encoding="utf-8")
        part.replace(arguments.json)


def _check_writable(file: Path) -> None:
    if file.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=file.parent):
        pass


def measure_bundles(bundles: Iterable[Bundle], batches: Sequence[int], calls: int) -> Iterator[Row]:
    """Time each variant of each bundle at each batch size, by one thread of each engine that may gain here.

    What can't be loaded is logged.
    """
    for bundle in bundles:
        for variant in bundle.manifest.variants:
            for engine in engines_that_may_gain(variant):
                try:
                    classifier = Classifier(bundle, variant, engine=engine)
                except BundleError as error:  # such as integers that this CPU computes wrong
                    logger.warning("%s; %s by %s is left out", error, variant, engine)
                    continue
                yield from (_measure(classifier, batch, calls) for batch in batches)


def describe(rows: Iterable[Row]) -> Iterator[str]:
    """The table, a line each."""
    yield f"{'milliseconds':<16}{'variant':<9}{'engine':<12}{'batch':>5}{'calls':>8}" + "".join(
        f"{name:>9}" for name in ("p50", "p95", "p99", "max")
    )
    for row in rows:
        times = "".join(f"{value:>9.3f}" for value in (row.p50, row.p95, row.p99, row.max))
        what = f"{f'{row.model}/{row.version}':<16}{row.variant:<9}{row.engine:<12}"
        yield f"{what}{row.batch:>5}{row.calls:>8}{times}"


def _measure(classifier: Classifier, batch: int, calls: int) -> Row:
    times = _time_calls(classifier, _pictures(classifier, batch), calls)
    p50, p95, p99 = (_percentile(times, share) for share in (0.5, 0.95, 0.99))
    manifest = classifier.manifest
    where = (manifest.name, manifest.version, classifier.variant_name, classifier.engine)
    return Row(*where, batch, calls, p50, p95, p99, times[-1])


def _time_calls(classifier: Classifier, pixels: NDArray[np.uint8], calls: int) -> list[float]:
    """Milliseconds of each call, in ascending order."""
    for _ in range(_WARM_UP):
        classifier.predict(pixels)
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        classifier.predict(pixels)
        times.append(1000 * (time.perf_counter() - started))
    return sorted(times)


def _pictures(classifier: Classifier, batch: int) -> NDArray[np.uint8]:
    """The bundle's golden pictures over and over, (batch, height, width, 3)."""
    pictures = itertools.islice(itertools.cycle(classifier.examples), batch)
    return np.stack([classifier.decode(data, DEFAULT_LIMITS) for data in pictures])


def _percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the ascending ones do not exceed."""
    return ordered[max(0, int(np.ceil(share * len(ordered))) - 1)]


def _bundles(arguments: argparse.Namespace) -> list[Bundle]:
    models = [arguments.model] if arguments.model else _visible(arguments.artifacts)
    folders = [
        arguments.artifacts / model / version
        for model in models
        for version in _visible(arguments.artifacts / model)
    ]
    if not folders:
        which = f"bundle of {arguments.model!r}" if arguments.model else "bundle"
        raise BundleError(f"{str(arguments.artifacts)!r} holds no {which}: export one, or give --artifacts")
    return [read_bundle(folder) for folder in folders]


def _visible(folder: Path) -> list[str]:
    """The names of the folders in it, in order, but for hidden ones."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(one.name for one in found if one.is_dir() and not one.name.startswith("."))


def _facts() -> dict[str, str]:
    return {
        "measured": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{_cpu()}, {os.cpu_count()} CPUs",
        "Python": platform.python_version(),
        "ONNX Runtime": onnxruntime.__version__,
        "threads": "1",
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m service.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--artifacts", type=Path, default=Path("artifacts"), help="folder of bundles (default: artifacts)")
    add("--model", help="only this one (default: all)")
    add("--calls", type=_count, default=_CALLS, help=f"of each (default: {_CALLS})")
    add(
        "--batch",
        type=_count,
        action="append",
        help="pictures a call; several are possible (default: 1, 4, 16)",
    )
    add("--json", type=Path, metavar="FILE", help="file for the same as JSON")
    return parser.parse_args()


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: give a whole number from 1 on")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
