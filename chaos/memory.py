"""The workers may have hardly any more memory, and large pictures come: nobody is left without an answer."""

import contextlib
import io
import resource
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from chaos.crowd import Asked, crowd, not_answered, times_of
from chaos.experiment import Experiment, Outcome
from chaos.lab import Lab, Subject, eventually
from chaos.processes import memory_bytes
from chaos.sender import Sender, Sent
from loadtest.address import Address

MARGIN_BYTES = 20_000_000
LEAST_SHARE = 0.5
_SENDERS, _NEIGHBOURS, _PAUSE_SECONDS = 8, 2, 0.02
_SIDE = 7000
_FILLED_BYTES = 9_500_000  # just under the largest body that is read
_BUSY = 503


def _run(lab: Lab, extent: int) -> Outcome:
    pictures = _heavy_pictures()
    with lab.service() as subject:
        workers = subject.workers()
        with (
            _little_memory(workers),
            crowd(lambda: subject.address, _NEIGHBOURS, _PAUSE_SECONDS) as neighbours,
        ):
            heavy = _send(subject.address, pictures, extent)
            lab.say(f"{extent} large pictures were sent")
        with crowd(lambda: subject.address, _NEIGHBOURS, _PAUSE_SECONDS) as after:
            eventually(lambda: len(after) >= 50, 10)
        faults = _faults(subject, workers)
    return judge(heavy, neighbours, after, faults)


def _faults(subject: Subject, workers: Sequence[int]) -> list[str]:
    is_same = subject.workers() == workers
    return subject.faults() + ([] if is_same else ["not all workers are those of before"])


@contextlib.contextmanager
def _little_memory(workers: Sequence[int]) -> Iterator[None]:
    """Let each of these have MARGIN_BYTES more than it has; afterwards as much as before."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_DATA) for pid in workers}
    for pid, (_, hard) in before.items():
        limit = memory_bytes(pid, "VmData") + MARGIN_BYTES
        resource.prlimit(pid, resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_DATA, limits)


def _heavy_pictures() -> list[bytes]:
    """Much to hold as a file, much to hold as pixels, and both."""
    flat = Image.new("L", (_SIDE, _SIDE), "grey")
    small, large = Image.new("RGB", (64, 64), "teal"), Image.new("RGB", (6000, 5000), "teal")
    pictures = [_encode(flat, "PNG"), _encode(small, "PNG"), _encode(large, "WEBP", method=0)]
    return [*pictures, *(data + bytes(_FILLED_BYTES - len(data)) for data in pictures)]


def _encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def _send(address: Address, pictures: Sequence[bytes], count: int) -> list[Sent]:
    """What became of each, sent over as many connections as there are senders."""
    together = threading.Barrier(_SENDERS)

    def send(first: int) -> list[Sent]:
        with Sender(address) as sender:
            together.wait()
            numbers = range(first, count, _SENDERS)
            return [sender.post("/classify", pictures[number % len(pictures)]) for number in numbers]

    with ThreadPoolExecutor(_SENDERS) as pool:
        return [one for sent in pool.map(send, range(_SENDERS)) for one in sent]


def judge(
    heavy: Sequence[Sent], neighbours: Sequence[Asked], after: Sequence[Asked], faults: Sequence[str]
) -> Outcome:
    """Hold the answers against what may be where there is no memory."""
    breaches = []
    for what, answers in (
        ("large pictures", [(one.status, one.said) for one in heavy]),
        ("neighbours' requests", [(one.status, one.said) for one in neighbours]),
    ):
        wrong = [(status, said) for status, said in answers if not _is_allowed(status)]
        if wrong:
            status, said = wrong[0]
            found = f"{len(wrong)} of {len(answers)} {what} got what may not be"
            breaches.append(f"{found}, the first status {status}: {said[:200]}")
    classified = sum(one.status == 200 for one in neighbours)
    if classified < LEAST_SHARE * len(neighbours):
        breaches.append(f"only {classified} of {len(neighbours)} neighbours' requests were classified")
    breaches += not_answered(after, "requests after that")
    counts = sorted(Counter(one.status for one in heavy).items())
    figures = {
        "large pictures": f"{len(heavy):,}",
        **{f"status {status}": f"{count:,}" for status, count in counts},
        "neighbours classified": f"{classified:,} of {len(neighbours):,}",
        "their times": times_of(neighbours),
    }
    return Outcome(figures, [*breaches, *faults])


def _is_allowed(status: int) -> bool:
    return status in {200, _BUSY} or 400 <= status < 500


EXPERIMENT = Experiment(
    name="memory",
    does=f"each worker may have {MARGIN_BYTES // 1_000_000} MB more than it has, and {{extent}} pictures of "
    f"up to 49 megapixels and 10 MB come, {_SENDERS} at a time",
    criterion="they get 200, a 4xx or 503; the same workers live and answer others, at least "
    f"{LEAST_SHARE:.0%} with a class and the rest with 503; all once there is memory again",
    short=48,
    long=960,
    run=_run,
)
