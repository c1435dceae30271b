"""Where a worker counts: in files that the others read, or in memory where no disk has room for them."""

import logging
import mmap
import os
import struct
from pathlib import Path
from typing import Any

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict, mmap_key

logger = logging.getLogger(__name__)

_FIRST_BYTES = 16_384
_ENTRY_BYTES = 32  # that an entry takes besides its key, at most
_DOUBLE_BYTES = 8
_pack_double = struct.Struct("d").pack


def count_in_files(pid: int) -> None:
    """Have all metrics that are made from now on count in files of $PROMETHEUS_MULTIPROC_DIR.

    Args:
        pid: ours, for the files' names.
    """
    files: dict[str, _AllocatedFile] = {}
    has_failed = False

    def shared(kind: str, *what: Any, multiprocess_mode: str = "") -> "_FileValue":  # noqa: ANN401
        name = f"{kind}_{multiprocess_mode}" if kind == "gauge" else kind
        if name not in files:
            files[name] = _AllocatedFile(
                str(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]) / f"{name}_{pid}.db")
            )
        key: str = mmap_key(*what)
        return _FileValue(files[name], key)

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


class _FileValue:
    """A figure of prometheus_client's that counts in a file, and in one thread alone.

    Its own asks at each count for the process, for a lock and for its place in the file: a tenth of all that
    a small picture takes besides its model.
    """

    _multiprocess = True  # asked by its metrics
    __slots__ = ("_file", "_place", "_value")

    def __init__(self, file: "_AllocatedFile", key: str) -> None:
        self._file = file
        self._value, self._place = file.entry(key)

    def inc(self, amount: float) -> None:
        """Add to it."""
        self._value += amount
        self._file.memory[self._place] = _pack_double(self._value)  # pack_into would write zeros first

    def set(self, value: float) -> None:
        """Have it be `value`."""
        self._value = value
        self._file.memory[self._place] = _pack_double(value)

    def get(self) -> float:
        """What it is by now."""
        return self._value

    def get_exemplar(self) -> None:
        """None is kept."""


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
        self.memory: mmap.mmap = self._m  # as it is mapped now

    def entry(self, key: str) -> tuple[float, slice]:
        """What the file has under a key, made if it is new, and where in its memory that is."""
        value, _ = self.read_value(key)  # type: ignore[no-untyped-call]
        start = self._positions[key]
        return value, slice(start, start + _DOUBLE_BYTES)

    def _init_value(self, key: str) -> None:
        needed, size = self._used + len(key.encode()) + _ENTRY_BYTES, self._capacity
        while size < needed:
            size *= 2
        if size > self._capacity:
            os.posix_fallocate(self._f.fileno(), 0, size)
            # prometheus_client notes the new size before it has mapped it, and is lost where it can't: that
            # takes a descriptor.
            self.memory = self._m = mmap.mmap(self._f.fileno(), size)
            self._capacity = size
        super()._init_value(key)  # type: ignore[no-untyped-call]
