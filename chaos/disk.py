"""The disk that the service counts on is full: pictures are answered as ever."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from chaos.experiment import Experiment, Outcome, Skipped
from chaos.lab import WORKERS, Lab, Subject, eventually
from loadtest import pictures
from loadtest.address import Answer, ServerError

_SIZE = "1m"
_MOUNT = 'mount -t tmpfs -o "size=$1" chaos "$2" && shift 2 && exec "$@"'
_LARGE_BYTES = 9_000_000  # more than forms are kept of in memory by default, and less than is refused
_EDGE = "chaos"
_BACK_SECONDS = 10.0


def _run(lab: Lab, extent: int) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        wrap = [*_own_mounts(), "bash", "-c", _MOUNT, "bash", _SIZE, folder]
        with lab.service({"TMPDIR": folder}, wrap) as subject:
            disk = Path(f"/proc/{subject.pid}/root{folder}")
            with _full(disk):
                lab.say("the disk is full")
                wrong = _ask_of_all_kinds(subject, extent)
                is_replaced = _kill_one(subject)
                wrong += _ask_of_all_kinds(subject, extent)
            wrong += _ask_of_all_kinds(subject, extent)
            said = subject.log().count("no room for figures")
            breaches = subject.faults()
    if wrong:
        breaches.append(f"{len(wrong)} requests failed, the first: {wrong[0]}")
    if not is_replaced:
        breaches.append(f"a worker that was killed meanwhile was not replaced within {_BACK_SECONDS:g} s")
    if said > WORKERS + 1:
        breaches.append(f"the log says {said} times that there is no room, more than once a worker")
    figures = {"requests": f"{3 * extent:,}", "failed": str(len(wrong)), "said in the log": f"{said} times"}
    return Outcome(figures, breaches)


def _own_mounts() -> list[str]:
    """The command before a command that gives it mounts of its own, which go when it goes.

    Raises:
        Skipped: that is not allowed here.
    """
    wrap = (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    )
    if shutil.which("unshare") is None:
        raise Skipped("needs unshare, of util-linux")
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run(
            [*wrap, "bash", "-c", _MOUNT, "bash", _SIZE, folder, "true"],
            capture_output=True,
            text=True,
            check=False,
        )
    if tried.returncode:
        raise Skipped(f"needs to mount a disk that can be filled: {tried.stderr.strip()}")
    return wrap


@contextlib.contextmanager
def _full(disk: Path) -> Iterator[None]:
    """Fill it to the last byte; afterwards there is room again."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


def _ask_of_all_kinds(subject: Subject, count: int) -> list[str]:
    """Small and large pictures, bare and in forms, of each model; what went wrong, a sentence each."""
    cat = pictures.png("cat")
    large = _form(cat + bytes(_LARGE_BYTES))
    form = f"multipart/form-data; boundary={_EDGE}"
    kinds = (
        ("/classify", cat, "image/png"),
        ("/classify/image", cat, "image/png"),
        ("/classify", large, form),
        ("/classify/batch", large.replace(b'name="file"', b'name="files"'), form),
    )
    wrong = []
    for number in range(count):
        path, body, content_type = kinds[number % len(kinds)]
        try:
            answer = subject.address.post(path, body, content_type, 30)
        except ServerError as error:
            answer = Answer(0, str(error))
        if answer.status != 200 or '"failed": 1' in answer.text:
            wrong.append(f"{path}: status {answer.status}: {answer.text[:200]}")
    return wrong


def _form(data: bytes) -> bytes:
    head = f'--{_EDGE}\r\nContent-Disposition: form-data; name="file"; filename="cat.png"\r\n\r\n'
    return head.encode() + data + f"\r\n--{_EDGE}--\r\n".encode()


def _kill_one(subject: Subject) -> bool:
    """Whether another takes its place, for whose figures there is no room."""
    victim = subject.workers()[0]
    os.kill(victim, signal.SIGKILL)
    return eventually(
        lambda: victim not in subject.workers() and len(subject.workers()) == WORKERS, _BACK_SECONDS
    )


EXPERIMENT = Experiment(
    name="disk",
    does="the disk under TMPDIR, of 1 MB, is full; {extent} requests of up to 9 MB meanwhile, as many "
    "after a worker was killed and replaced, as many when there is room again",
    criterion="each is answered with 200; the log says what is not counted, at most once a worker",
    short=20,
    long=1000,
    run=_run,
)
