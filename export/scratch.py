"""A temporary folder for tools that read and write files only, with a sentence for when it is full."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ScratchError(OSError):
    """The temporary folder can't be written."""


@contextmanager
def scratch_folder(needed: int) -> Iterator[Path]:
    """A folder that is gone at the end.

    Args:
        needed: bytes that the largest file in it may have.

    Raises:
        ScratchError: whatever failed, the folder can't take as much any more. ONNX Runtime's tools say so in
            many ways, or read back half of what they wrote.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="glimpse.", ignore_cleanup_errors=True)
    except OSError as error:
        raise ScratchError(_sentence("a temporary folder can't be made", error)) from error
    with folder as name:
        try:
            yield Path(name)
        except Exception as failure:
            try:
                (Path(name) / "probe").write_bytes(bytes(needed))
            except OSError as error:
                where = f"the temporary folder {str(Path(name).parent)!r} can't take {needed:,} bytes"
                raise ScratchError(_sentence(where, error)) from failure
            raise


def _sentence(what: str, error: OSError) -> str:
    return f"{what} ({error.strerror}): free space there, or name another folder in TMPDIR"
