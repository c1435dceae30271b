"""Where a result came from: the commit and the versions of what computed it."""

import platform
import subprocess
from importlib.metadata import version


def git_commit() -> str:
    """The commit checked out, with "-dirty" when tracked files differ from it; "unknown" outside git."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def library_versions(*packages: str) -> dict[str, str]:
    """Python's version and those of the installed packages named."""
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}
