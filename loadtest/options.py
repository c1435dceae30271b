"""What the commands' options are and accept."""

import argparse
import os
import re
from pathlib import Path

from loadtest.address import KEY_VARIABLE
from loadtest.drive import Load
from loadtest.scenarios import SCENARIOS
from loadtest.schedule import count_arrivals
from loadtest.slo import Objective, Refusals, Slo, SloError, combine, parse_bound

_MOST_REQUESTS = 5_000_000  # whose times still fit into the memory of an ordinary machine
_UNITS = {"": 1, "s": 1, "m": 60, "min": 60}


def positive(text: str) -> float:
    """A number above 0, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: give a number above 0")
    return value


def count(text: str) -> int:
    """A whole number from 1 on, for argparse."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: give a whole number from 1 on")
    return int(text)


def port(text: str) -> int:
    """A TCP port, for argparse."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: give a port of 1 to 65535")
    return int(text)


def seconds(text: str) -> float:
    """A duration such as 60s, 2m or 30, in seconds, for argparse."""
    match = re.fullmatch(r"([0-9.]+)([a-z]*)", text)
    if match is None or match[2] not in _UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: give a duration such as 60s or 2m")
    return positive(match[1]) * _UNITS[match[2]]


def bound(text: str) -> Slo | Refusals:
    """A bound such as p95=50ms or refused=0.1%, for argparse."""
    try:
        return parse_bound(text)
    except SloError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def key(text: str) -> str:
    """An API key, for argparse; what is wrong with it is said without it."""
    if not all("!" <= one <= "~" for one in text):
        raise argparse.ArgumentTypeError("has characters that no key has; copy it again")
    return text


def add_key_option(parser: argparse.ArgumentParser) -> None:
    """Let the caller give the key of a service with GLIMPSE_API_KEYS."""
    parser.add_argument(
        "--key",
        type=key,
        default=os.environ.get(KEY_VARIABLE, ""),
        help=f"API key; better in {KEY_VARIABLE}, where others on this machine can't see it",
    )


def add_load_options(parser: argparse.ArgumentParser, rate: float, duration: float) -> None:
    """Let the caller say what is sent and what has to hold, with these defaults."""
    add = parser.add_argument
    add("--model", default="", help="model to ask for (default: the service's default)")
    add("--rate", type=positive, default=rate, help=f"requests per second (default: {rate:g})")
    add("--duration", type=seconds, default=duration, help=f"such as 60s or 2m (default: {duration:g}s)")
    add(
        "--slo",
        type=bound,
        action="append",
        default=[],
        metavar="BOUND",
        help="such as p95=50ms, of p50, p95, p99 and max, or refused=0.1%%, the share of requests that may "
        "get 503; several are possible (default: p95=50ms, and none may)",
    )
    add("--master-port", type=port, default=5557, help="where remote workers connect to (default: 5557)")
    add = parser.add_mutually_exclusive_group().add_argument
    add("--processes", type=count, default=1, help="processes that send, here (default: 1)")
    add("--remote-workers", type=count, default=0, help="locust workers to wait for, from elsewhere")


def add_scenario_option(parser: argparse.ArgumentParser) -> None:
    """Let the caller choose one scenario."""
    parser.add_argument(
        "--scenario", choices=list(SCENARIOS), default="mixed", help="what is sent (default: mixed)"
    )


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Let the caller keep what was measured."""
    add = parser.add_argument
    add("--report", type=Path, metavar="FOLDER", help="folder for report.html and report.json")
    add("--bench", type=Path, metavar="FILE", help="what 'make bench' wrote, to be shown in the report")


def add_search_options(parser: argparse.ArgumentParser, precision: float) -> None:
    """Let the caller say how the highest rate is searched for."""
    add = parser.add_argument
    add("--step", type=seconds, default=10.0, help="length of each step before the proof (default: 10s)")
    add("--precision", type=positive, default=precision, help=f"share of the rate (default: {precision:g})")


def load_of(arguments: argparse.Namespace) -> Load:
    """What these options ask to be sent."""
    names = ("rate", "duration", "scenario", "model", "processes", "remote_workers", "master_port")
    return Load(**{name: getattr(arguments, name) for name in names})


def objective_of(arguments: argparse.Namespace) -> Objective:
    """What has to hold."""
    return combine(arguments.slo)


def check_size(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Refuse a load that is too small to judge by, or too large to hold."""
    load, strictest = load_of(arguments), objective_of(arguments).strictest
    requests = count_arrivals(load.rate, load.duration, SCENARIOS[load.scenario].burst)
    sent = f"--rate {load.rate:g} for {load.duration:g} s are {requests} requests"
    if requests < strictest.least_requests:
        parser.error(
            f"{sent}, too few for {strictest.measure}, which takes {strictest.least_requests}: raise "
            "--rate or --duration"
        )
    if requests > _MOST_REQUESTS:
        parser.error(f"{sent}, more than the {_MOST_REQUESTS} that can be kept: lower --rate or --duration")
