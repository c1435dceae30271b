"""Where a worker counts: in files that the others read, or in memory where no disk has room for them."""

import logging
import mmap
import os
from pathlib import Path
from typing import Any

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

logger = logging.getLogger(__name__)

_FIRST_BYTES = 16_384
_ENTRY_BYTES = 32  # that an entry takes besides its key, at most


def count_in_files(pid: int) -> None:
    """Have all metrics that are made from now on count in files of $PROMETHEUS_MULTIPROC_DIR.

    Args:
        pid: ours, for the files' names; asking the system at each count takes a tenth of a refusal's time.
    """
    setattr(values, "MmapedDict", _AllocatedFile)  # noqa: B010 - it names what its values are kept in there only
    shared = values.MultiProcessValue(lambda: pid)  # type: ignore[no-untyped-call]
    has_failed = False

    def make(*what: Any, **more: Any) -> Any:  # noqa: ANN401 - prometheus_client's, which has no types
        nonlocal has_failed
        try:
            return shared(*what, **more)
        except OSError as error:
            if not has_failed:
                logger.warning(
                    "no room for figures (%s): /metrics lacks some of this worker; free space at %s",
                    error.strerror,
                    os.environ["PROMETHEUS_MULTIPROC_DIR"],
                )
            has_failed = True
            return values.MutexValue(*what, **more)  # type: ignore[no-untyped-call]

    values.ValueClass = make


class _AllocatedFile(MmapedDict):
    """A file whose room on the disk is taken before it is written to.

    It is written to through memory. prometheus_client makes it with holes, and where the disk is full the
    system kills the process that writes into one (SIGBUS).
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        try:
            with Path(filename).open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, _FIRST_BYTES)
        except OSError:
            Path(filename).unlink(missing_ok=True)  # nobody could read an empty one
            raise
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]

    def _init_value(self, key: str) -> None:
        needed, size = self._used + len(key.encode()) + _ENTRY_BYTES, self._capacity
        while size < needed:
            size *= 2
        if size > self._capacity:
            os.posix_fallocate(self._f.fileno(), 0, size)
            # prometheus_client notes the new size before it has mapped it, and is lost where it can't: that
            # takes a descriptor.
            self._m = mmap.mmap(self._f.fileno(), size)
            self._capacity = size
        super()._init_value(key)  # type: ignore[no-untyped-call]
