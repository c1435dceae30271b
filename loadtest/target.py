"""Options in, the service to be measured out: one that runs already, or one that is started and stopped."""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from loadtest import options
from loadtest.address import Address, ServerError, parse_address
from loadtest.server import Service, check_ready, running_service

_DEFAULT = "GLIMPSE_DEFAULT_MODEL"
_MODEL = "resnet"


@dataclass(frozen=True)
class Target:
    """A service that is ready, and how many CPUs it may use; None where that can't be known."""

    address: Address
    cpus: int | None


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Let the caller say which service."""
    parser.add_argument("--url", help="a running service (default: one is started and stopped)")
    options.add_key_option(parser)
    parser.add_argument("--server-python", default=sys.executable, help="interpreter that starts the service")
    parser.add_argument(
        "--apart", action="store_true", help="start the service on all CPUs but one, which the generator gets"
    )


@contextlib.contextmanager
def open_target(arguments: argparse.Namespace) -> Iterator[Target]:
    """The service that the options ask for.

    Raises:
        ServerError: nothing is ready at the URL, or the service did not start.
    """
    if arguments.url is not None:
        if arguments.apart:
            raise ServerError(f"--apart: {arguments.url} runs already; leave out --url or --apart")
        address = parse_address(arguments.url, arguments.key)
        check_ready(address)
        yield Target(address, None)
        return
    start = apart if arguments.apart else running_service
    command = [arguments.server_python, "-m", "service"]
    with own_service(command, start, model=arguments.model) as service:
        cpus = len(os.sched_getaffinity(service.process.pid))
        yield Target(Address(service.url, arguments.key), cpus)


@contextlib.contextmanager
def own_service(
    command: Sequence[str],
    start: Callable[..., contextlib.AbstractContextManager[Service]],
    settings: Mapping[str, str] = MappingProxyType({}),
    model: str = "",
) -> Iterator[Service]:
    """What `start` makes of the command; what it logs is kept from our own output.

    Args:
        command: what starts the service.
        start: takes it, environment variables, and the file for its log.
        settings: environment variables.
        model: that is to be asked, if a certain one.

    Raises:
        ServerError: with the log's last line, whatever went wrong with it.
    """
    given = {**default_model(settings, model), **settings}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "service.log"  # written as in production
        try:
            with start(command, given, log) as service:
                yield service
        except ServerError as error:
            said = log.read_text(encoding="utf-8", errors="replace").splitlines()[-1:] if log.exists() else []
            raise ServerError("; the last of its log: ".join([str(error), *said])) from error


def default_model(settings: Mapping[str, str], model: str = "") -> dict[str, str]:
    """The default model of a service that we start, where nobody has named one and this one is there.

    Without a default it does not start as long as somebody's own model, of other classes, stands beside ours.

    Args:
        settings: environment variables that the service gets besides the shell's.
        model: that is to be asked; by default the one whose classes our pictures show.
    """
    given = {**os.environ, **settings}
    name = model or _MODEL
    is_there = (Path(given.get("GLIMPSE_ARTIFACTS") or "artifacts") / name).is_dir()
    return {_DEFAULT: name} if is_there and not given.get(_DEFAULT) else {}


@contextlib.contextmanager
def apart(
    command: Sequence[str], settings: Mapping[str, str] = MappingProxyType({}), log: Path | None = None
) -> Iterator[Service]:
    """The service on all CPUs but one, which the generator gets, so that neither slows the other.

    Raises:
        ServerError: there is only one CPU, or the service did not start.
    """
    usable = os.sched_getaffinity(0)
    if len(usable) < 2:
        raise ServerError("there is one usable CPU, but service and generator need one each")
    own = min(usable)
    os.sched_setaffinity(0, usable - {own})
    try:
        with running_service(command, {"GLIMPSE_LOG_FORMAT": "json", **settings}, log) as service:
            os.sched_setaffinity(0, {own})
            yield service
    finally:
        os.sched_setaffinity(0, usable)
