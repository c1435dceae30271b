"""`python -m loadtest`: does the service hold p95 < 50 ms at this rate? Exit status 0 for yes, 1 for no."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtest.server import ServerError, check_service, running_service
from loadtest.verdict import Result, Summary, find_breaches, percentile, summarise

LOCUSTFILE = Path(__file__).parent / "locustfile.py"


def main() -> int:
    """Parse, run, print the table and the verdict."""
    arguments = _parse()
    try:
        measured = _measure_service(arguments)
    except (ServerError, subprocess.CalledProcessError, FileNotFoundError) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 1
    requests = [Result(one["name"], one["ms"], one["error"]) for one in measured["requests"]]
    breaches = find_breaches(requests, measured["offered"], arguments.p95)
    _print_table(requests)
    if measured["generator_lags_ms"]:
        lag = percentile(sorted(measured["generator_lags_ms"]), 0.99)
        print(
            f"\n{measured['offered']} requests offered at {arguments.rate:g}/s; "
            f"the generator itself was late by {lag:.2f} ms (p99)"
        )
    for breach in breaches:
        print(f"FAILED: {breach}")
    if not breaches:
        print(f"PASSED: p95 is under {arguments.p95:g} ms and nothing failed")
    return 1 if breaches else 0


def _measure_service(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.url:
        check_service(arguments.url)
        return _run_locust(arguments.url, arguments)
    with running_service([arguments.server_python, "-m", "service"]) as service:
        return _run_locust(service.url, arguments)


def _run_locust(url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    options = {"rate": arguments.rate, "duration": arguments.duration, "model": arguments.model}
    command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--host", url]
    command += [
        "--headless",
        "--users",
        "1",
        "--only-summary",
        "--loglevel",
        "WARNING",
        "--exit-code-on-error",
        "0",
    ]
    command += [part for name, value in options.items() if value for part in (f"--{name}", str(value))]
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command += ["--results", str(results)]
        # locust's own table rounds to milliseconds; ours is made from every single time.
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        measured: dict[str, Any] = json.loads(results.read_bytes())
    return measured


def _print_table(results: Sequence[Result]) -> None:
    if not results:
        return
    names = sorted({result.name for result in results})
    rows = [summarise(name, [result for result in results if result.name == name]) for name in names]
    print(f"{'milliseconds':<14}{'n':>8}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}")
    for row in (*rows, summarise("all", results)):
        _print_row(row)


def _print_row(row: Summary) -> None:
    print(f"{row.name:<14}{row.count:>8}{row.p50:>9.2f}{row.p95:>9.2f}{row.p99:>9.2f}{row.largest:>9.2f}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=__doc__)
    parser.add_argument("--url", help="a running service (default: one is started and stopped)")
    parser.add_argument("--server-python", default=sys.executable, help="interpreter that starts the service")
    parser.add_argument("--model", default="", help="model to ask for (default: the service's default)")
    parser.add_argument("--rate", type=_positive, default=50.0, help="requests per second (default: 50)")
    parser.add_argument("--duration", type=_positive, default=30.0, help="seconds (default: 30)")
    parser.add_argument("--p95", type=_positive, default=50.0, help="limit in milliseconds (default: 50)")
    return parser.parse_args()


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: give a number above 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
