"""The commands of training and export: as a person calls them, and within this process."""

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from export.__main__ import main
from tests.support import ROOT


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


def command(folder: Path, module: str, *arguments: str, check: bool = True) -> Done:
    """`python -m MODULE ARGUMENTS` in the folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def export(folder: Path, *arguments: str, check: bool = True) -> Done:
    """The same for `python -m export`, without the seconds in which a new process loads PyTorch."""
    threads = torch.get_num_threads()
    output, errors = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        status = main(arguments)
    torch.set_num_threads(threads)  # the command takes one, for good
    assert not check or status == 0, errors.getvalue()
    return Done(status, output.getvalue(), errors.getvalue())
