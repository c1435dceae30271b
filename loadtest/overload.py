"""`python -m loadtest.overload`: is the service of use at three times what it can do?

Exit status 0 for yes, 1 for no, 2 where nothing could be measured. It raises the rate until the service
gets no more done; offers that rate, then a multiple of what was answered, then that rate again. What was
answered before and after is the peak. Well behaved, the service refuses at once what it can't do in time (503
with Retry-After), answers the rest in time, gets about as much done as at its peak, and still says how it is.
"""

import argparse
import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from loadtest import command, options
from loadtest.address import Address, ServerError
from loadtest.drive import Load, drive, learn_classes
from loadtest.results import Measured, percentile
from loadtest.target import apart, own_service

_PROBES = ("/health", "/metrics")
_PROBE_PAUSE_SECONDS = 0.5
_SCENARIO = "light"  # each request about as much work as another, so that counting them means something
_FIRST_RATE, _STEP = 100.0, 1.3
_PAST = 1.5  # times the best so far; where this much is offered and no more is answered, that was the most
# Of the overload's duration, at the peak before it and again after it. The most of many short steps would be
# the luckiest of them, and a machine's speed drifts within minutes.
_PEAK_SHARE = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, measure, print what was found and the verdict."""
    given = _parse(arguments)
    return command.run(lambda: _test(given))


def _test(arguments: argparse.Namespace) -> int:
    with own_service([arguments.server_python, "-m", "service"], apart) as service:
        address = Address(service.url, arguments.key)
        overload = measure_overload(address, arguments.times, arguments.duration, arguments.step)
    breaches = overload.breaches(arguments.p95, arguments.goodput)
    print(overload.describe())
    for breach in breaches:
        print(f"FAILED: {breach}")
    if not breaches:
        print(
            "PASSED: overloaded, it answers what it admits in time and gets about as much done as at its peak"
        )
    return 1 if breaches else 0


@dataclass
class Probes:
    """How the service answered about itself meanwhile."""

    milliseconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Overload:
    """What a service did under a multiple of its peak; rates are per second, times in milliseconds."""

    peak: float
    offered: float
    goodput: float
    admitted: list[float]
    refused: list[float]
    wrong: list[str]
    probes: Probes

    def describe(self) -> str:
        """The figures, a line each."""
        probes = sorted(self.probes.milliseconds)
        rows = (("admitted", self.admitted), ("refused", self.refused), ("health and metrics", probes))
        lines = [f"{'milliseconds':<20}{'n':>8}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}"]
        for name, times in rows:
            shown = [percentile(times, share) for share in (0.5, 0.95, 0.99, 1)] if times else []
            lines.append(f"{name:<20}{len(times):>8}" + "".join(f"{value:>9.2f}" for value in shown))
        lines.append(
            f"\n{self.offered:.0f} requests/s offered, {self.offered / self.peak:.1f} times the peak of "
            f"{self.peak:.0f}/s; answered {self.goodput:.0f}/s, {self.goodput / self.peak:.0%} of the peak"
        )
        return "\n".join(lines)

    def breaches(self, limit_p95: float, share: float) -> list[str]:
        """What did not hold, a sentence each."""
        found = []
        p95 = percentile(self.admitted, 0.95) if self.admitted else float("inf")
        if p95 >= limit_p95:
            found.append(f"p95 of admitted requests is {p95:.1f} ms, not under {limit_p95:g} ms")
        if self.goodput < share * self.peak:
            ratio = self.goodput / self.peak
            found.append(f"goodput is {ratio:.0%} of the peak, less than {share:.0%}")
        if not self.refused:
            found.append("nothing was refused, so this was no overload: raise --times")
        if self.wrong:
            found.append(f"{len(self.wrong)} requests got something else, the first: {self.wrong[0]}")
        if self.probes.failures:
            found.append(f"{_PROBES} failed {len(self.probes.failures)} times: {self.probes.failures[0]}")
        return found


def measure_overload(address: Address, times: float, duration: float, step_seconds: float) -> Overload:
    """Find the rate that gets the most done, then offer `times` the peak for `duration` seconds.

    Raises:
        LocustError: locust could not run.
        ServerError: the service's answers were not as they have to be even before the load, or it gave none.
    """
    classes = learn_classes(address, Load(_FIRST_RATE, duration, _SCENARIO))
    busiest = Load(_find_busiest(address, step_seconds, classes), _PEAK_SHARE * duration, _SCENARIO)
    before = _goodput(address, busiest, classes)
    with _probing(address) as probes:
        measured = drive(address, Load(times * before, duration, _SCENARIO), classes)
    after = _goodput(address, busiest, classes)
    return _judge(measured, (before + after) / 2, duration, probes)


def _find_busiest(address: Address, seconds: float, classes: Mapping[str, Sequence[str]]) -> float:
    """The rate at which the most is answered."""
    best, busiest, rate = 0.0, 0.0, _FIRST_RATE
    while rate < _PAST * max(best, _FIRST_RATE):
        goodput = _goodput(address, Load(rate, seconds, _SCENARIO), classes)
        if goodput > best:
            best, busiest = goodput, rate
        rate *= _STEP
    return busiest


def _goodput(address: Address, load: Load, classes: Mapping[str, Sequence[str]]) -> float:
    """Of this load, what was answered a second."""
    measured = drive(address, load, classes)
    goodput = sum(result.error is None for result in measured.results) / load.duration
    print(
        f"at {measured.offered_rate:6.0f}/s offered: {goodput:6.0f}/s answered", file=sys.stderr, flush=True
    )
    if not goodput:
        raise ServerError(f"{address.url} answers nothing at {load.rate:g}/s, so it has no peak")
    return goodput


def _judge(measured: Measured, peak: float, seconds: float, probes: Probes) -> Overload:
    admitted = sorted(result.milliseconds for result in measured.results if result.error is None)
    refused = sorted(result.milliseconds for result in measured.results if result.is_refusal)
    wrong = [one.error for one in measured.timed if one.error is not None]
    return Overload(peak, measured.offered_rate, len(admitted) / seconds, admitted, refused, wrong, probes)


@contextlib.contextmanager
def _probing(address: Address) -> Iterator[Probes]:
    """Ask the service about itself all along, from a thread."""
    probes, stop = Probes(), threading.Event()

    def probe() -> None:
        while not stop.wait(_PROBE_PAUSE_SECONDS):
            for path in _PROBES:
                started = time.perf_counter()
                try:
                    status = address.get(path).status
                    if status != 200:
                        probes.failures.append(f"{path}: status {status}")
                except ServerError as error:
                    probes.failures.append(f"{path}: {error}")
                probes.milliseconds.append(1000 * (time.perf_counter() - started))

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield probes
    finally:
        stop.set()
        thread.join()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.overload",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--server-python", default=sys.executable, help="interpreter that starts the service")
    options.add_key_option(parser)
    add("--times", type=options.positive, default=3.0, help="multiple of the peak (default: 3)")
    add("--duration", type=options.seconds, default=60.0, help="of the overload (default: 60s)")
    add("--step", type=options.seconds, default=5.0, help="at each rate before it (default: 5s)")
    add("--p95", type=options.positive, default=50.0, help="limit for admitted requests, ms (default: 50)")
    add(
        "--goodput",
        type=options.positive,
        default=0.9,
        help="least share of the peak that is answered (default: 0.9)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
