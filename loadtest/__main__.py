"""`python -m loadtest`: does the service hold p95 < 50 ms at this rate? Exit status 0 for yes, 1 for no."""

import argparse
import sys
from collections.abc import Sequence

from loadtest.drive import LocustError, Measured, drive
from loadtest.options import positive
from loadtest.server import ServerError, check_service, running_service
from loadtest.verdict import Result, Summary, find_breaches, percentile, summarise


def main() -> int:
    """Parse, run, print the table and the verdict."""
    arguments = _parse()
    try:
        measured = _measure_service(arguments)
    except (ServerError, LocustError, FileNotFoundError) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 1
    breaches = find_breaches(measured.results, measured.offered, arguments.p95)
    _print_table(measured.results)
    if measured.lags_ms:
        lag = percentile(sorted(measured.lags_ms), 0.99)
        print(
            f"\n{measured.offered} requests offered at {arguments.rate:g}/s; "
            f"the generator itself was late by {lag:.2f} ms (p99)"
        )
    for breach in breaches:
        print(f"FAILED: {breach}")
    if not breaches:
        print(f"PASSED: p95 is under {arguments.p95:g} ms and nothing failed")
    return 1 if breaches else 0


def _measure_service(arguments: argparse.Namespace) -> Measured:
    load = (arguments.rate, arguments.duration, arguments.model)
    if arguments.url:
        check_service(arguments.url)
        return drive(arguments.url, *load)
    with running_service([arguments.server_python, "-m", "service"]) as service:
        return drive(service.url, *load)


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
    parser.add_argument("--rate", type=positive, default=50.0, help="requests per second (default: 50)")
    parser.add_argument("--duration", type=positive, default=30.0, help="seconds (default: 30)")
    parser.add_argument("--p95", type=positive, default=50.0, help="limit in milliseconds (default: 50)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
