"""A number and a socket in, a worker process out: its supervisor's view of it."""

import select
import socket
import subprocess
import sys

_MOST_BEATS = 4096  # more than a link holds


class WorkerProcess:
    """One process, and the link by which it says that it answers and learns that we are gone."""

    def __init__(
        self,
        number: int,
        listener: socket.socket,
        board: int,
        environment: dict[str, str],
        *,
        is_replacement: bool,
    ) -> None:
        """Start it.

        Raises:
            OSError: there is no descriptor, process or memory left for it.
        """
        self.number = number
        self.is_ready = False
        self._silence = 0.0
        ours, theirs = socket.socketpair()
        self._link = ours
        with theirs:
            descriptors = (listener.fileno(), theirs.fileno(), board)
            arguments = (number, *descriptors, int(is_replacement))
            try:
                # A group of its own: Ctrl+C in a terminal is for the supervisor, which then stops all.
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "service.worker", *map(str, arguments)],
                    env=environment,
                    pass_fds=[descriptor for descriptor in descriptors if descriptor >= 0],
                    process_group=0,
                )
            except OSError:
                ours.close()
                raise

    def listen(self, timeout: float) -> bool:
        """Whether it has said that it answers, or says so within `timeout` seconds."""
        if select.select([self._link], [], [], timeout)[0] and self._link.recv(_MOST_BEATS):
            self.is_ready = True
            self._silence = 0.0
        return self.is_ready

    def count_silence(self, seconds: float) -> float:
        """Add what has passed without a word; the seconds since the last."""
        self._silence += seconds
        return self._silence

    def kill(self) -> None:
        """End it at once; one that the kernel does not let go yet is given as long again."""
        self.process.kill()
        self._silence = 0.0

    def close(self) -> None:
        """Let go of the link."""
        self._link.close()
