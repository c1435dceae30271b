"""The client as a user runs it."""

import os
import re
import subprocess
import sys
from typing import IO

from tests.support import PICTURES, ROOT

COMMAND = [sys.executable, "-m", "service.client", "classify"]
CAT, DOG = PICTURES / "cat.png", PICTURES / "dog.png"


def client(
    *arguments: object, stdin: IO[bytes] | None = None, stderr: int = subprocess.PIPE, **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=False,
        timeout=60,
    )


def rows(done: "subprocess.CompletedProcess[str]") -> list[list[str]]:
    """The table's cells, without its head."""
    return [re.split(r" {2,}", line) for line in done.stdout.splitlines()[1:]]
