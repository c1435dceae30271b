"""`python -m service.decoder`: decodes pictures for a sandbox, within a bound on memory.

On standard input come a line of JSON, {"size": bytes, "height", "width", "max_pixels", "max_side",
"is_header_read"}, and as many bytes of a file;
on standard output go a line of JSON, {"bytes": n} and n bytes of pixels, or {"error": class, "message": ...}.
"""

import contextlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np

from service.errors import BrokenHeader, HungryImage, ImageError, UndecodableImage
from service.imaging import Limits, decode
from service.logs import ignore_pillows_warnings

_NICENESS = 10  # small pictures come first
_OOM_SCORE = 900  # of 1000, which would be before anything else on the machine

_TOO_MUCH = "decoding the picture takes too much memory (GLIMPSE_DECODE_BYTES): send a smaller one"
_BROKEN_OR_TOO_MUCH = (
    "the picture breaks off, is broken in its header, or takes too much memory (GLIMPSE_DECODE_BYTES)"
)


def main() -> int:
    """Serve until standard input ends."""
    os.nice(_NICENESS)
    _offer_to_the_kernel()
    ignore_pillows_warnings()
    _bound_memory(int(sys.argv[1]))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    try:
        while line := requests.readline():
            _serve_one(json.loads(line), requests, answers)
            answers.flush()
    except MemoryError:  # not even for the file; who asked sees that nothing comes, and starts another
        return 1
    return 0


def _serve_one(request: dict[str, int], requests: BinaryIO, answers: BinaryIO) -> None:
    data = requests.read(request["size"])
    limits = Limits(request["max_pixels"], request["max_side"])
    try:
        pixels = decode(data, request["height"], request["width"], limits)
    except ImageError as given:
        error = _explained(given, is_header_read=bool(request["is_header_read"]))
        answer = {"error": type(error).__name__, "message": error.message}
        answers.write(json.dumps(answer).encode() + b"\n")
        return
    content = np.ascontiguousarray(pixels).tobytes()
    answers.write(json.dumps({"bytes": len(content)}).encode() + b"\n" + content)


def _explained(error: ImageError, *, is_header_read: bool) -> ImageError:
    """Some of Pillow's parsers call a header broken that they have no memory for."""
    if not isinstance(error, BrokenHeader):
        return error
    return HungryImage(_TOO_MUCH) if is_header_read else UndecodableImage(_BROKEN_OR_TOO_MUCH)


def _offer_to_the_kernel() -> None:
    """Where a container's memory runs out, have this process killed, and not one that answers many."""
    with contextlib.suppress(OSError):  # no such file in some sandboxes
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE), encoding="ascii")


def _bound_memory(limit: int) -> None:
    """Let this process allocate `limit` bytes more than it has, if it may."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    (used,) = (int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData"))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bound = used + limit if hard == resource.RLIM_INFINITY else min(used + limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))


if __name__ == "__main__":
    sys.exit(main())
