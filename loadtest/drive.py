"""A URL and a rate in, every request's time and outcome out; locust sends, in a process of its own."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.verdict import Result

LOCUSTFILE = Path(__file__).parent / "locustfile.py"
# locust's own table rounds to milliseconds; ours is made from every single time.
_QUIETLY = [
    "--headless",
    "--users",
    "1",
    "--only-summary",
    "--loglevel",
    "WARNING",
    "--exit-code-on-error",
    "0",
]


class LocustError(Exception):
    """Locust could not run."""


@dataclass(frozen=True)
class Measured:
    """What came of a run: `offered` requests were due, and the generator sent them `lags_ms` late."""

    results: list[Result]
    offered: int
    lags_ms: list[float]


def drive(url: str, rate: float, duration: float, model: str = "") -> Measured:
    """Send `rate` requests per second for `duration` seconds, at times drawn ahead.

    Raises:
        LocustError: locust could not run.
    """
    options = {"rate": rate, "duration": duration, "model": model}
    command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--host", url, *_QUIETLY]
    command += [part for name, value in options.items() if value for part in (f"--{name}", str(value))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.json"
        done = subprocess.run([*command, "--results", str(path)], capture_output=True, text=True, check=False)
        if not path.exists():
            raise LocustError(f"locust ended with status {done.returncode}: {done.stderr.strip()}")
        measured: dict[str, Any] = json.loads(path.read_bytes())
    results = [Result(**one) for one in measured["requests"]]
    return Measured(results, measured["offered"], measured["generator_lags_ms"])
