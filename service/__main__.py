"""`python -m service`: read the settings, load the models, serve."""

import logging
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.errors import BundleError
from service.settings import Settings, SettingsError, read_settings

logger = logging.getLogger("service")

# Requests in flight get this long to finish once the process is asked to stop.
GRACE_SECONDS = 30


def main() -> int:
    """Serve until asked to stop; the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # uvicorn drains, then raises the signal once more for whoever stood there before; a stop is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_quietly)
    try:
        settings = read_settings()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        with _bind(settings) as listener:
            _serve(create_app(settings), listener)
    except (BundleError, AddressError) as error:
        print(f"service: {error}", file=sys.stderr)
        return 1
    return 0


class AddressError(Exception):
    """The address can't be listened on."""


def _bind(settings: Settings) -> socket.socket:
    """Take the address before anything is loaded; it answers only once uvicorn listens."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        where = f"GLIMPSE_HOST={settings.host} GLIMPSE_PORT={settings.port}"
        raise AddressError(f"{where}: {error.strerror}; choose another") from error
    return listener


def _serve(app: FastAPI, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    host, port = listener.getsockname()[:2]
    logger.info("listening on http://%s:%d", host, port)
    uvicorn.Server(config).run(sockets=[listener])


def _exit_quietly(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
