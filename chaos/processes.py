"""A process id in, what the kernel says of that process out."""

from pathlib import Path


def children(pid: int) -> list[int]:
    """What the process has started and not yet buried."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def family(pid: int) -> list[int]:
    """The process and all that it has started, however far down."""
    found = [pid]
    for parent in found:
        found += children(parent)
    return found


def is_running(pid: int) -> bool:
    """Whether it still does anything; one that is stopped, or dead and not yet buried, does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "TZX"


def descriptors(pid: int) -> int:
    """How many it has open; none where it is gone."""
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return 0


def memory_bytes(pid: int, field: str = "RssAnon") -> int:
    """What it holds for itself alone, or another field of its status, in bytes; none where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)
