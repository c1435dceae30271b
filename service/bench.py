"""`python -m service.bench`: how long the models alone take, called in this process, without HTTP.

Prints a table of milliseconds a call by model, variant and batch size; `--json FILE` keeps it for a load
test's report, so that the cost of all that is around the model can be seen.
"""

import argparse
import itertools
import json
import logging
import os
import platform
import sys
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
    batch: int
    calls: int
    p50: float
    p95: float
    p99: float
    max: float


def main() -> int:
    """Parse, measure, print; exit status 2 where nothing could be measured."""
    arguments = _parse()
    try:
        rows = list(measure_bundles(_bundles(arguments), arguments.batch or _BATCHES, arguments.calls))
    except BundleError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print("\n".join(describe(rows)))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"facts": _facts(), "rows": [asdict(row) for row in rows]}, indent=1)
        arguments.json.write_text(f"{text}\n", encoding="utf-8")
    return 0


def measure_bundles(bundles: Iterable[Bundle], batches: Sequence[int], calls: int) -> Iterator[Row]:
    """Time each variant of each bundle at each batch size, by one thread; what can't be loaded is logged."""
    for bundle in bundles:
        for variant in bundle.manifest.variants:
            try:
                classifier = Classifier(bundle, variant)
            except BundleError as error:  # such as integers that this CPU computes wrong
                logger.warning("%s; left out", error)
                continue
            yield from (_measure(classifier, batch, calls) for batch in batches)


def describe(rows: Iterable[Row]) -> Iterator[str]:
    """The table, a line each."""
    yield f"{'milliseconds':<16}{'variant':<9}{'batch':>5}{'calls':>8}" + "".join(
        f"{name:>9}" for name in ("p50", "p95", "p99", "max")
    )
    for row in rows:
        times = "".join(f"{value:>9.3f}" for value in (row.p50, row.p95, row.p99, row.max))
        yield f"{f'{row.model}/{row.version}':<16}{row.variant:<9}{row.batch:>5}{row.calls:>8}{times}"


def _measure(classifier: Classifier, batch: int, calls: int) -> Row:
    times = _time_calls(classifier, _pictures(classifier, batch), calls)
    p50, p95, p99 = (_percentile(times, share) for share in (0.5, 0.95, 0.99))
    manifest = classifier.manifest
    where = (manifest.name, manifest.version, classifier.variant_name)
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
    pattern = f"{arguments.model or '[!.]*'}/[!.]*"
    folders = sorted(filter(Path.is_dir, arguments.artifacts.glob(pattern)))
    if not folders:
        raise BundleError(f"{str(arguments.artifacts)!r} holds no {pattern}: export one, or give --artifacts")
    return [read_bundle(folder) for folder in folders]


def _facts() -> dict[str, str]:
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        "Python": platform.python_version(),
        "ONNX Runtime": onnxruntime.__version__,
        "threads": "1",
    }


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
