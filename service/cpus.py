"""The CPUs that this process may use: how many, by its affinity and its container's quota, and which kind."""

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_CPUINFO = Path("/proc/cpuinfo")


def usable_cpus(cgroup: Path = _CGROUP) -> int:
    """At least 1. ONNX Runtime and Python see the host's CPUs, whatever share a container gets."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _quota(cgroup) or allowed))


def _quota(cgroup: Path) -> int | None:
    """The CPU quota of cgroup v2 or v1, rounded up; None without one."""
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        return math.ceil(int(quota) / int(period)) if int(quota) > 0 else None
    except (OSError, ValueError):  # no such files, or the word "max"
        return None


def cpu_has(extension: str, cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the CPU has an extension, by Linux's name, such as "amx_int8"; False where nobody can tell."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return False
    return any(line.startswith("flags") and extension in line.split() for line in lines)
