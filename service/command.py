"""Reads the settings, starts the workers, keeps them running until asked to stop."""

import argparse
import sys

from service.logs import configure_logging
from service.settings import SettingsError, describe_settings, read_settings
from service.supervisor import AddressError, Supervisor


def run() -> int:
    """Serve until asked to stop; the exit status: 2 for a wrong setting, 1 where nothing can be served."""
    parser = argparse.ArgumentParser(
        prog="python -m service",
        description="Serve the models in artifacts/ over HTTP. Settings are environment variables:",
        epilog=describe_settings(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    try:
        settings = read_settings()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    configure_logging(settings.log_level, settings.log_format)
    try:
        return Supervisor(settings).run()
    except AddressError as error:
        print(f"service: {error}", file=sys.stderr)
        return 1
