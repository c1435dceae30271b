"""A large or suspicious picture in, its pixels out, from a process that is killed if it takes too long.

A thread that decodes can't be stopped, nor its memory bounded; a process can.
"""

import contextlib
import json
import logging
import os
import subprocess
import sys
import time
from typing import IO

import numpy as np
from numpy.typing import NDArray

from service.errors import (
    HungryImage,
    ImageError,
    ImageTooLarge,
    Overloaded,
    SlowImage,
    UndecodableImage,
    UnsupportedFormat,
)
from service.imaging import Limits
from service.pipes import read_by, read_line_by, write_by

logger = logging.getLogger(__name__)

# A photo goes through in three turns of the two processes instead of fifty; Linux lets nobody have more.
_PIPE_BYTES = 1 << 20
_ERRORS: dict[str, type[ImageError]] = {
    error.__name__: error for error in (HungryImage, ImageTooLarge, UndecodableImage, UnsupportedFormat)
}


class Sandbox:
    """One decoding process, for one thread at a time; started anew when it had to be killed."""

    def __init__(self, limits: Limits, seconds: float, memory: int) -> None:
        """Take what is refused, and the most that a picture may take: seconds, and bytes of memory."""
        self._limits = limits
        self._seconds = seconds
        self._memory = memory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "subprocess.Popen[bytes]":
        """Have the process ready before a picture waits for it.

        Raises:
            OSError: there is no process, descriptor or memory left for it.
        """
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            command = [sys.executable, "-m", "service.decoder", str(self._memory)]
            # A group of its own: Ctrl+C in a terminal is for the service, which then closes this.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0, pipesize=_PIPE_BYTES
            )
            if self._process.stdin is not None:
                os.set_blocking(self._process.stdin.fileno(), False)
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        self._process.kill()
        # Leaving closes the pipes and waits; a pipe may hold half a picture that nobody will read.
        with contextlib.suppress(BrokenPipeError), self._process:
            pass
        self._process = None

    def decode(
        self, data: bytes, height: int, width: int, *, is_header_read: bool = False
    ) -> NDArray[np.uint8]:
        """As service.imaging.decode, within bounds; `is_header_read` says that its header is sound.

        Raises:
            ImageError: it can't be decoded; SlowImage and HungryImage: not within the seconds or the memory.
            Overloaded: there is no process or descriptor left to decode it with.
        """
        requests, answers = self._begin()
        end = time.monotonic() + self._seconds
        try:
            head = self._head(len(data), height, width, is_header_read=is_header_read)
            write_by(end, requests, head)
            write_by(end, requests, data)
            return _read_answer(end, answers, height, width)
        except (OSError, ValueError) as error:  # too late, a broken pipe, or half an answer
            raise self._give_up(len(data), is_late=isinstance(error, TimeoutError)) from error
        except MemoryError:  # for our end of it, amid what was asked and answered
            self.close()
            raise

    def _give_up(self, size: int, *, is_late: bool) -> ImageError:
        """Leave the process, of which nothing comes any more, for another; what to say of the picture."""
        self.close()
        reason = f"nothing came for {self._seconds:g} s" if is_late else "its process ended"
        logger.warning("a picture of %d bytes was given up on: %s", size, reason)
        with contextlib.suppress(OSError):  # then the next picture starts it, or is told
            self.start()
        if is_late:
            return SlowImage(
                f"decoding the picture takes more than {self._seconds:g} s (GLIMPSE_DECODE_SECONDS): "
                "send a smaller or simpler one"
            )
        return HungryImage(
            f"decoding the picture takes more than {self._memory} bytes (GLIMPSE_DECODE_BYTES), or breaks "
            "the decoder: send a smaller or simpler one"
        )

    def _begin(self) -> tuple[IO[bytes], IO[bytes]]:
        """The pipes of a process that runs."""
        try:
            process = self.start()
        except OSError as error:
            logger.warning("no process can be started that decodes large pictures: %s", error)
            raise Overloaded("nothing can be started that decodes a large picture: send it again") from error
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the decoding process has no pipes")
        return process.stdin, process.stdout

    def _head(self, size: int, height: int, width: int, *, is_header_read: bool) -> bytes:
        request = {
            "size": size,
            "height": height,
            "width": width,
            "max_pixels": self._limits.max_pixels,
            "max_side": self._limits.max_side,
            "is_header_read": is_header_read,
        }
        return json.dumps(request).encode() + b"\n"


def _read_answer(end: float, stream: IO[bytes], height: int, width: int) -> NDArray[np.uint8]:
    line, rest = read_line_by(end, stream)
    answer = json.loads(line)
    if "error" in answer:
        raise _ERRORS[answer["error"]](answer["message"])
    pixels = np.frombuffer(read_by(end, stream, answer["bytes"], rest), np.uint8)
    return pixels.reshape(height, width, 3)
