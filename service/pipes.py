"""A process's pipe, bytes and a deadline in; sent or received in time, or an error, out.

Waiting here takes no thread that watches the time, of which there might be none when it is needed.
"""

import os
import select
import time
from typing import IO

_PIECE_BYTES = 1 << 16


def write_by(end: float, stream: IO[bytes], data: bytes) -> None:
    """Write all of it to a pipe that does not block.

    Raises:
        OSError: it is not taken before `end`, a moment of time.monotonic, or the reader is gone.
    """
    descriptor, left = stream.fileno(), memoryview(data)
    while left:
        _wait_until(end, descriptor, select.POLLOUT)
        left = left[os.write(descriptor, left) :]


def read_line_by(end: float, stream: IO[bytes]) -> tuple[bytes, bytes]:
    """A line, and what came behind it.

    Raises:
        OSError: it does not come before `end`, or the writer is gone.
    """
    came = b""
    while b"\n" not in came:
        came += _read_by(end, stream)
    line, _, rest = came.partition(b"\n")
    return line, rest


def read_by(end: float, stream: IO[bytes], count: int, begun: bytes = b"") -> bytes:
    """So many bytes, of which `begun` has come already.

    Raises:
        OSError: they do not come before `end`, or the writer is gone.
    """
    pieces, left = [begun], count - len(begun)
    while left > 0:
        pieces.append(_read_by(end, stream))
        left -= len(pieces[-1])
    return b"".join(pieces)


def _read_by(end: float, stream: IO[bytes]) -> bytes:
    descriptor = stream.fileno()
    _wait_until(end, descriptor, select.POLLIN)
    piece = os.read(descriptor, _PIECE_BYTES)
    if not piece:
        raise BrokenPipeError("the process has ended")
    return piece


def _wait_until(end: float, descriptor: int, event: int) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(1000 * max(0.0, end - time.monotonic())):
        raise TimeoutError("the process takes too long")
