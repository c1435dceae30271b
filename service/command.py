"""Serves until asked to stop, or finds the settings to do so with."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from service.logs import configure_logging
from service.settings import SettingsError, describe_settings, read_settings
from service.settings_file import load_settings
from service.supervisor import Supervisor
from service.tune import command as tune


def run(given: Sequence[str] | None = None) -> int:
    """Do what the command line says; exit status 2 for a wrong setting, 1 where nothing can be served."""
    arguments = _parse(given)
    try:
        if arguments.settings:
            load_settings(arguments.settings)
        if arguments.command == "tune":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
            return tune.run(arguments)
        return _serve()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2


def _serve() -> int:
    settings = read_settings()
    configure_logging(settings.log_level, settings.log_format)
    return Supervisor(settings).run()


def _parse(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description="Serve the models in artifacts/ over HTTP. Settings are environment variables:",
        epilog=describe_settings(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="file of NAME=VALUE lines for what is not set already"
    )
    what = "find the workers, threads and limits that fit this machine and model, in about a minute"
    commands = parser.add_subparsers(dest="command", title="instead of serving")
    tune.add_options(commands.add_parser("tune", help=what, description=f"{what[0].upper()}{what[1:]}."))
    return parser.parse_args(given)
