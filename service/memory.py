"""A container's memory in, two gauges for Prometheus out: what it holds, and beyond what the kernel kills.

Sums over processes would count what they share once for each of them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_CGROUP = Path("/sys/fs/cgroup")
_UNLIMITED = 2**60  # cgroup v1 has no word for it, only a number that no machine reaches


class _Files(NamedTuple):
    folder: str
    limit: str
    used: str
    droppable: str  # the line of memory.stat with pages of files that nobody has used lately


_VERSIONS = (
    _Files(".", "memory.max", "memory.current", "inactive_file"),
    _Files("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


class ContainerMemory(Collector):
    """Read anew at each scrape; without a limit there is nothing to say."""

    def __init__(self, cgroup: Path = _CGROUP) -> None:
        """Take where the kernel says it."""
        self._cgroup = cgroup

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The two gauges, or none."""
        for files in _VERSIONS:
            try:
                used, limit = _used_and_limit(self._cgroup / files.folder, files)
            except (OSError, ValueError, KeyError):  # no such files, or the word "max"
                continue
            if limit < _UNLIMITED:
                what = "Memory of the service's container, without pages of files that can be dropped."
                yield GaugeMetricFamily("glimpse_memory_bytes", what, used)
                yield GaugeMetricFamily("glimpse_memory_limit_bytes", "The most it may be.", limit)
            return


def _used_and_limit(folder: Path, files: _Files) -> tuple[int, int]:
    limit = int((folder / files.limit).read_text())
    used = int((folder / files.used).read_text())
    counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return max(0, used - int(counts[files.droppable])), limit
