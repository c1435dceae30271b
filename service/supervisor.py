"""Starts worker processes on one socket, replaces those that die or hang, and stops all when asked to."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from types import FrameType

from prometheus_client.multiprocess import mark_process_dead

from service.board import Board
from service.cpus import usable_cpus
from service.settings import Settings, SettingsError
from service.worker_process import WorkerProcess

logger = logging.getLogger(__name__)

_STOP = {signal.SIGTERM, signal.SIGINT}
_WATCHED = {*_STOP, signal.SIGCHLD}
_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # seconds before a worker that failed to start is tried again
_LONGEST_LOOK = 1.0  # seconds from one look at the workers to the next, unless this process was stopped
_KILL_AFTER = 5  # seconds over what a worker may take to stop


class Supervisor:
    """Keeps settings.workers processes answering on one socket."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._workers: dict[int, WorkerProcess] = {}
        self._pauses: dict[int, float] = {}
        self._due: dict[int, float] = {}  # when a worker that failed is to be started again
        self._looked = time.monotonic()  # when it was last seen to whether the workers answer
        self._is_asked_to_stop = False

    def run(self) -> int:
        """Serve until a signal asks to stop.

        Returns:
            0 after that; the status of the first worker if it can't serve anything, 1 if it can't be started.

        Raises:
            SettingsError: the address can't be listened on.
        """
        # Blocked, signals wait until they are asked for; every worker lets them through again for itself.
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        # NumPy may have threads of its own by now, which block nothing: a signal may come to one of them.
        for stop in _STOP:
            signal.signal(stop, self._note_stop)
        with _bind(self._settings) as listener, _make_folder() as metrics:
            self._listener = listener
            self._metrics = metrics
            self._board = Board.make(self._settings.workers)
            try:
                return self._serve()
            finally:
                self._stop_all()

    def _serve(self) -> int:
        first = self._start(0)
        if first is None:
            return 1
        while not first.listen(0.05):
            if first.process.poll() is not None:
                return first.process.returncode
            if self._is_asked_to_stop or signal.sigpending() & _STOP:
                return 0
        self._announce()
        self._due = dict.fromkeys(range(1, self._settings.workers), 0.0)
        while True:
            self._kill_hung()
            self._replace_dead()
            self._reap_orphans()
            asked = signal.sigtimedwait(_WATCHED, 0.2)
            if self._is_asked_to_stop or (asked is not None and asked.si_signo in _STOP):
                logger.info("stopping: requests in flight may finish")
                return 0

    def _note_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._is_asked_to_stop = True

    def _start(self, number: int) -> WorkerProcess | None:
        """Start it, or have it tried again later where there is no descriptor, process or memory for it."""
        environment = {name: value for name, value in os.environ.items() if name != _METRICS_VARIABLE}
        if self._metrics is not None:
            environment[_METRICS_VARIABLE] = self._metrics
        is_replacement = number in self._pauses
        try:
            worker = WorkerProcess(
                *(number, self._listener, self._board.descriptor, environment), is_replacement=is_replacement
            )
        except OSError as error:
            logger.error("worker %d can't be started: %s", number, error.strerror)  # noqa: TRY400 - says it all
            self._postpone(number, has_worked=False)
            return None
        self._workers[number] = worker
        return worker

    def _announce(self) -> None:
        host, port = self._listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        logger.info("listening on http://%s:%d", shown, port)
        logger.info(
            "%d workers with %d threads each, on %d usable CPUs",
            self._settings.workers,
            self._settings.threads,
            usable_cpus(),
        )

    def _kill_hung(self) -> None:
        """End those that have been silent for too long: what waits for one would wait for ever."""
        now = time.monotonic()
        # While we were stopped ourselves, as a container can be, so may they have been: that is no silence.
        passed = min(now - self._looked, _LONGEST_LOOK)
        self._looked = now
        for worker in self._workers.values():
            if worker.listen(0) and worker.count_silence(passed) > self._settings.hang_seconds:
                logger.error("worker %d does not answer any more: killed", worker.number)
                worker.kill()

    def _replace_dead(self) -> None:
        for number, worker in list(self._workers.items()):
            if worker.process.poll() is None:
                continue
            self._bury(worker)
            self._postpone(number, has_worked=worker.is_ready)
            logger.error("worker %d ended with status %d", number, worker.process.returncode)
        now = time.monotonic()
        for number in [number for number, due in self._due.items() if due <= now]:
            del self._due[number]
            self._start(number)

    def _postpone(self, number: int, *, has_worked: bool) -> None:
        """One that died at work is replaced at once, one that did not come up a little later each time."""
        pause = 0.0 if has_worked else self._pauses.get(number, _FIRST_PAUSE)
        self._pauses[number] = min(2 * pause, _LONGEST_PAUSE) if pause else _FIRST_PAUSE
        self._due[number] = time.monotonic() + pause

    def _bury(self, worker: WorkerProcess) -> None:
        del self._workers[worker.number]
        worker.close()
        self._board.clear(worker.number)
        if self._metrics is not None:
            mark_process_dead(worker.process.pid, self._metrics)  # type: ignore[no-untyped-call]

    def _reap_orphans(self) -> None:
        """A container's first process inherits what a dead worker had started, and is to end it."""
        ours = {worker.process.pid for worker in self._workers.values()}
        with contextlib.suppress(ChildProcessError):  # there is no child at all
            # Looked at first: a worker's status is for its Popen.
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in ours:
                    return
                os.waitpid(ended.si_pid, 0)

    def _stop_all(self) -> None:
        for worker in self._workers.values():
            worker.process.terminate()
        # The workers have it too. With ours open, who comes after they have closed theirs would be left
        # waiting until the last request in flight is done, instead of being refused and going elsewhere.
        self._listener.close()
        patience = self._settings.drain_seconds + self._settings.grace_seconds + _KILL_AFTER
        deadline = time.monotonic() + patience
        for worker in self._workers.values():
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.error("worker %d does not stop: killed", worker.number)  # noqa: TRY400
                worker.process.kill()
                worker.process.wait()
            worker.close()


@contextlib.contextmanager
def _make_folder() -> Iterator[str | None]:
    """Where the workers count together; none where no disk has room, which is no reason not to serve."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="glimpse-")
    except OSError as error:
        logger.warning(
            "no folder for figures can be made (%s): /metrics shows those of one worker; set TMPDIR", error
        )
        yield None
        return
    with folder as path:
        yield path


def _bind(settings: Settings) -> socket.socket:
    """Take the address before anything is loaded; it answers only once a worker listens."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family)
    except (OSError, UnicodeError) as error:  # the latter for a name with a part that is empty or too long
        raise SettingsError(_says(settings, error)) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise SettingsError(_says(settings, error)) from error
    return listener


def _says(settings: Settings, error: OSError | UnicodeError) -> str:
    reason = error.strerror if isinstance(error, OSError) else "no name of a host"
    return f"GLIMPSE_HOST={settings.host} GLIMPSE_PORT={settings.port}: {reason}; choose another"
