"""A command's work in, its exit status out; what a user can mend is one sentence on standard error."""

import signal
import sys
from collections.abc import Callable

from loadtest.address import ServerError
from loadtest.drive import LocustError
from loadtest.record import RecordError

NOTHING_MEASURED, INTERRUPTED = 2, 130


def run(work: Callable[[], int], name: str = "loadtest") -> int:
    """The status that `work` gives, 2 where nothing could be measured or kept; `name` is the command's.

    SIGTERM ends it as Ctrl+C does, so that the processes it started end too.
    """
    before = signal.signal(signal.SIGTERM, _end)
    try:
        return work()
    except (ServerError, LocustError, RecordError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return NOTHING_MEASURED
    except KeyboardInterrupt:
        print(f"{name}: interrupted; there is no verdict", file=sys.stderr)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)
