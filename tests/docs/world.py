"""Where a page's commands are tried: a folder like the repository, and a service that answers."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT

_OWN = {"runs", "data"}  # what commands write there is not for the repository
_COPIED = {"docs"}  # commands write there too
_PROGRAMS = ("python", "pip", "ruff", "mypy", "hadolint")
_RECORDER = """#!/bin/sh
{ printf '%s\\n' "$(basename "$0")" "$@"; echo; } >> "$RECORD"
"""
_SECONDS = 180


@dataclass(frozen=True)
class World:
    """A scratch folder with all that the repository has, and the URL of the service."""

    folder: Path
    url: str

    def run(self, text: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """A command in a shell, with this interpreter and this service for those that it names."""
        return subprocess.run(
            [shutil.which("bash") or "bash", "-o", "pipefail", "-c", self.fill_in(text)],
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )

    def fill_in(self, text: str) -> str:
        """The command with what is here in the place of what a reader has."""
        text = re.sub(r"(http://)?(localhost|127\.0\.0\.1):8000", self.url, text)
        return re.sub(r"\.venv/(dev|service)/bin/python\b", shlex.quote(sys.executable), text)


def make_world(folder: Path, url: str) -> World:
    """Link everything of the repository into the folder; copy what commands write to."""
    for path in ROOT.iterdir():
        if path.name.startswith(".") or path.name in _OWN:
            continue
        if path.name in _COPIED or path.suffix == ".md":
            (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / path.name)
        else:
            (folder / path.name).symlink_to(path)
    return World(folder, url)


def make(words: list[str], **environment: str) -> "subprocess.CompletedProcess[str]":
    """Make in the repository, without the variables of one that may have started these tests."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [shutil.which("make") or "make", *words],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )


def called_by_make(words: list[str], folder: Path) -> list[list[str]]:
    """Run a target with programs that only write down how they are called; their words, a list a call.

    The recipe's own shell runs for real, with all its loops and conditions.

    Raises:
        AssertionError: make fails.
    """
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in _PROGRAMS:
        (programs / name).write_text(_RECORDER)
        (programs / name).chmod(0o755)
    for stamp in (".installed", ".installed-openvino", ".train", ".train-openvino", ".dev"):
        (folder / stamp).touch()
    record = folder / "record"
    record.touch()
    places = (f"SERVICE={folder}", f"DEV={folder}", f"PYTHON={programs / 'python'}")
    done = make([*words[1:], *places], RECORD=str(record))
    assert done.returncode == 0, done.stderr
    return [call.split("\n") for call in record.read_text(encoding="utf-8").split("\n\n") if call]
