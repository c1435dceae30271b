"""`python -m service.health`: is the service beside it ready? Exit status 0, or 1 with one sentence why not.

A container's health check runs it every few seconds on the CPUs that answer, so it imports next to nothing.
"""

import os
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException

PATH = "/health/ready"
# As service.settings says, the import of which would take most of a second each time.
DEFAULTS = {"GLIMPSE_HOST": "127.0.0.1", "GLIMPSE_PORT": "8000"}
SECONDS = 2.0  # until no answer counts as one

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - listening there, it answers here


class Unhealthy(Exception):
    """The service can't be asked, or is not ready; the message is a sentence."""


def main() -> int:
    """Ask, and say what came of it; Docker knows no other status than 0 and 1."""
    try:
        check(os.environ)
    except Unhealthy as error:
        print(f"unhealthy: {error}")
        return 1
    print("ready")
    return 0


def check(environment: Mapping[str, str]) -> None:
    """Return if the service that this environment starts is ready.

    Raises:
        Unhealthy: it is not.
    """
    host, port = _address(environment)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"
    connection = HTTPConnection(host, port, timeout=SECONDS)
    try:
        connection.request("GET", PATH)
        response = connection.getresponse()
    except TimeoutError as error:
        raise Unhealthy(f"{url} does not answer within {SECONDS:g} s") from error
    except OSError as error:
        raise Unhealthy(f"nothing answers at {url}: {error.strerror or error}") from error
    except HTTPException as error:
        raise Unhealthy(f"what answers at {url} is no HTTP server: {error!r}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise Unhealthy(f"{url} answers {response.status} {response.reason}, not 200 OK")


def _address(environment: Mapping[str, str]) -> tuple[str, int]:
    """Where to ask; empty variables count as unset, as for the service."""
    given = {name: environment.get(name) or default for name, default in DEFAULTS.items()}
    host, port = given["GLIMPSE_HOST"], given["GLIMPSE_PORT"]
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise Unhealthy(
            f"GLIMPSE_PORT={port}: must be a number from 1 to 65535; 0 takes a port that only the log names"
        )
    return _ANY_ADDRESS.get(host, host), int(port)


if __name__ == "__main__":
    sys.exit(main())
