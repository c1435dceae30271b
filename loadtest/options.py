"""What the commands' options accept."""

import argparse
import re

from loadtest.slo import Slo, SloError, parse_slo

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


def seconds(text: str) -> float:
    """A duration such as 60s, 2m or 30, in seconds, for argparse."""
    match = re.fullmatch(r"([0-9.]+)([a-z]*)", text)
    if match is None or match[2] not in _UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: give a duration such as 60s or 2m")
    return positive(match[1]) * _UNITS[match[2]]


def slo(text: str) -> Slo:
    """A bound such as p95=50ms, for argparse."""
    try:
        return parse_slo(text)
    except SloError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
