"""`python -m service`: from here on a signal to stop is kept, and the rest is imported and run."""

import os
import signal
import sys


def main() -> int:
    """Run the command, which minds SIGTERM and SIGINT once it is imported; its exit status."""
    # As a container's first process it would never get a signal that it neither handles nor blocks.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    # OpenBLAS, with which nothing here computes, starts a thread a CPU of the host in every process; where it
    # may not, it raises SIGINT, and the start ends as if somebody had asked for that.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from service.command import run  # noqa: PLC0415 - takes most of a second

    return run()


if __name__ == "__main__":
    sys.exit(main())
