"""`python -m service.worker`: one of a supervisor's processes; loads the models, then answers."""

import asyncio
import contextlib
import gc
import logging
import math
import os
import signal
import socket
import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI

from service.acceptor import Acceptor
from service.app import create_app
from service.board import Board, Place
from service.cpus import usable_cpus
from service.errors import BundleError
from service.fast_path import FastPath
from service.fast_protocol import FastProtocol
from service.logs import configure_logging, ignore_pillows_warnings
from service.parts import parts_of
from service.routes import classify
from service.settings import Settings, SettingsError, read_settings

logger = logging.getLogger(__name__)

_STOP = (signal.SIGTERM, signal.SIGINT)
_BEAT_SECONDS = 1.0


def main() -> int:
    """Serve until the supervisor asks to stop, or is gone; the exit status."""
    number, listener, link, shared, is_replacement = map(int, sys.argv[1:])
    settings = read_settings()
    configure_logging(settings.log_level, settings.log_format, number)
    ignore_pillows_warnings()
    for stop in _STOP:
        signal.signal(stop, _exit_quietly)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    board = Board(settings.workers, shared)
    place = Place(board, number, usable_cpus())
    place.note_light(1)  # loading models takes a CPU, too
    try:
        app = create_app(settings, place)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except BundleError as error:
        print(f"service: {error}", file=sys.stderr)
        return 1
    place.note_light(0)
    if is_replacement:
        parts_of(app).metrics.restarts.inc()
    with socket.socket(fileno=listener) as listening, socket.socket(fileno=link) as supervisor:
        _cut_off_who_does_not_read(listening, settings.stall_seconds)
        _Server(app, settings, supervisor, Acceptor(listening, board, number)).run()
    return 0


def _cut_off_who_does_not_read(listening: socket.socket, seconds: float) -> None:
    """Have the kernel end connections, which inherit it, whose client has taken nothing for so long.

    It alone knows: an answer that fits its buffers has left us, whether anybody reads it or not. Room in the
    client's buffer that is smaller than what is to be sent next is none to it.
    """
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, math.ceil(1000 * seconds))


class _Server(uvicorn.Server):
    """Says when it is ready; asked to stop, it first lets load balancers notice."""

    def __init__(
        self, app: FastAPI, settings: Settings, supervisor: socket.socket, acceptor: Acceptor
    ) -> None:
        parts = parts_of(app)
        protocol = FastProtocol.made(settings.header_seconds, parts.gate, acceptor.note_lost)
        protocol.fast_path = FastPath(parts, classify.FUNCTIONS)
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=protocol,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nothing here asks for a client's address or scheme
            timeout_keep_alive=settings.keep_alive_seconds,
            timeout_graceful_shutdown=settings.grace_seconds,
        )
        super().__init__(config)
        self._lifecycle = parts.lifecycle
        self._drain_seconds = settings.drain_seconds
        self._supervisor = supervisor
        self._acceptor = acceptor

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell the supervisor so again and again; its end of the link tells when it is gone."""
        # What is here by now stays: looking it through for garbage would hold up answers.
        gc.collect()
        gc.freeze()
        await super().startup(sockets or [])
        self._loop = asyncio.get_running_loop()
        self._supervisor.settimeout(0)
        self._loop.add_reader(self._supervisor, os.kill, os.getpid(), signal.SIGTERM)
        self._acceptor.start(self._make_protocol)
        self._beat()

    def _make_protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=self._loop,
        )
        return protocol

    def _beat(self) -> None:
        """Say that the event loop still turns, which it does until the last answer."""
        # Where the link is full the supervisor is stopped, and where it is broken it is gone.
        with contextlib.suppress(OSError):
            self._supervisor.send(b"1")
        self._loop.call_later(_BEAT_SECONDS, self._beat)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop as uvicorn does, and no longer mind the supervisor."""
        self._loop.remove_reader(self._supervisor)
        self._acceptor.close()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Answer on for a while with /health/ready at 503; the second signal stops at once."""
        stop = super().handle_exit
        if self._lifecycle.is_stopping or not self.started:
            stop(sig, frame)
            return
        self._lifecycle.is_stopping = True
        self._loop.remove_reader(self._supervisor)
        self._loop.call_later(self._drain_seconds, stop, sig, frame)


def _exit_quietly(_signal: int, _frame: FrameType | None) -> None:
    """Uvicorn drains, then raises the signal once more for whoever stood there before: a stop, no failure."""
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
