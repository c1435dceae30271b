"""A steady load for long: memory, descriptors and times at its end are those of its beginning."""

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from chaos import processes
from chaos.descriptors import resting_descriptors
from chaos.drift import Change, Slice, change_of
from chaos.experiment import Experiment, Outcome
from chaos.lab import Lab, Subject, eventually
from loadtest.drive import Load, drive
from loadtest.results import Measured, Result, percentile
from loadtest.svg import Chart, Series

RATE = 40.0
SCENARIO = "light"
P95_SHARE, MEMORY_SHARE = 0.05, 0.05
SETTLE_SECONDS = 5.0
_LEAST_SLICES, _MOST_SLICES, _SLICE_SECONDS = 5, 120, 4
_TELLING_SLICES = 27  # with fewer, eight or nine in a part, how far they are apart is chance itself
_SAMPLE_SECONDS = 0.5
_PROGRESS_SECONDS = 60


@dataclass(frozen=True)
class Sample:
    """What the service's processes held at a moment."""

    moment: float
    memory_mb: float
    descriptors: int


def _run(lab: Lab, extent: int) -> Outcome:
    with lab.service() as subject:
        before = resting_descriptors(subject)
        with _sampling(lab, subject) as samples:
            measured = drive(subject.address, Load(RATE, extent, SCENARIO))
            # The moment at which the first could be due; what was due last has only just been answered.
            began = time.monotonic() - extent
        eventually(lambda: subject.descriptors() <= before, SETTLE_SECONDS)
        after = subject.descriptors()
        faults = subject.faults()
    return judge(_slice(measured, samples, began), measured, (before, after), faults)


@contextlib.contextmanager
def _sampling(lab: Lab, subject: Subject) -> Iterator[list[Sample]]:
    """Look at the processes all along, from a thread."""
    samples: list[Sample] = []
    stop = threading.Event()

    def sample() -> None:
        began = told = time.monotonic()
        while not stop.wait(_SAMPLE_SECONDS):
            now = time.monotonic()
            pids = processes.family(subject.pid)
            memory = sum(map(processes.memory_bytes, pids)) / 1_000_000
            samples.append(Sample(now, memory, sum(map(processes.descriptors, pids))))
            if now - told >= _PROGRESS_SECONDS:
                told = now
                lab.say(
                    f"{(now - began) / 60:.0f} min: {memory:.0f} MB, {samples[-1].descriptors} descriptors"
                )

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def _slice(measured: Measured, samples: Sequence[Sample], began: float) -> list[Slice]:
    """Pieces of some seconds, longer ones of a long run; those in which nothing came are left out."""
    count = min(_MOST_SLICES, max(_LEAST_SLICES, round(measured.seconds / _SLICE_SECONDS)))
    width = measured.seconds / count
    answered: list[list[Result]] = [[] for _ in range(count)]
    for result in measured.timed:
        answered[min(count - 1, int(result.due / width))].append(result)
    seen: list[list[Sample]] = [[] for _ in range(count)]
    for sample in samples:
        at = (sample.moment - began) / width
        if 0 <= at < count:
            seen[int(at)].append(sample)
    both = enumerate(zip(answered, seen, strict=True), start=1)
    return [_sum_up(number * width, results, held) for number, (results, held) in both if results and held]


def _sum_up(second: float, results: Sequence[Result], held: Sequence[Sample]) -> Slice:
    times = sorted(result.milliseconds for result in results)
    return Slice(
        round(second, 1),
        round(percentile(times, 0.5), 2),
        round(percentile(times, 0.95), 2),
        round(statistics.median(one.memory_mb for one in held), 2),
        statistics.median(one.descriptors for one in held),
    )


def judge(
    slices: Sequence[Slice], measured: Measured, descriptors: tuple[int, int], faults: Sequence[str]
) -> Outcome:
    """Hold the end against the beginning; `descriptors` are the workers', without load, before and after."""
    p95 = change_of([one.p95_ms for one in slices])
    memory = change_of([one.memory_mb for one in slices])
    is_telling = len(slices) >= _TELLING_SLICES
    breaches = _judge_change(p95, P95_SHARE, "p95", "ms") if is_telling else []
    breaches += _judge_change(memory, MEMORY_SHARE, "memory", "MB")
    before, after = descriptors
    if after > before:
        breaches.append(f"{after} descriptors are open in the workers, {after - before} more than before")
    failed = [result.error for result in measured.timed if result.error is not None]
    if failed:
        breaches.append(f"{len(failed)} of {len(measured.results)} requests failed, the first: {failed[0]}")
    figures = {
        "requests": f"{len(measured.results):,}",
        "refused": str(measured.refused),
        "p95": f"{p95.first:.1f} to {p95.last:.1f} ms ({p95 if is_telling else 'too short to compare'})",
        "memory": f"{memory.first:.0f} to {memory.last:.0f} MB ({memory})",
        "descriptors": f"{before} before, {after} after",
    }
    names = [field.name for field in fields(Slice)]
    series = [names, *([getattr(one, name) for name in names] for one in slices)]
    return Outcome(figures, [*breaches, *faults], _charts(slices), series)


def _judge_change(change: Change, limit: float, what: str, unit: str) -> list[str]:
    if not change.is_above(limit):
        return []
    return [
        f"{what} went from {change.first:.1f} to {change.last:.1f} {unit}, {change}, more than {limit:.0%}"
    ]


def _charts(slices: Sequence[Slice]) -> list[Chart]:
    def line(name: str, field: str) -> Series:
        return Series(name, [(one.second, getattr(one, field)) for one in slices])

    return [
        Chart("Times over the soak", "s", "ms", [line("p50", "p50_ms"), line("p95", "p95_ms")]),
        Chart("Memory of all processes", "s", "MB", [line("memory", "memory_mb")]),
        Chart("Descriptors of all processes", "s", "open", [line("descriptors", "descriptors")]),
    ]


EXPERIMENT = Experiment(
    name="soak",
    does=f"{RATE:g} requests a second of '{SCENARIO}' for {{extent}} s",
    criterion=f"from the first part to the last, p95 and memory rise by no more than {P95_SHARE:.0%}, two "
    "standard errors allowed (p95 from two minutes on); no more descriptors are open than before; nothing "
    "fails",
    short=20,
    long=120,
    run=_run,
)
