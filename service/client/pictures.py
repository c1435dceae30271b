"""What a user names in, pictures to send out."""

import io
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from service.client.errors import PictureError, UsageError

STANDARD_INPUT = "-"
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".tif", ".tiff", ".webp", ".gif"}
)


@dataclass(frozen=True)
class Picture:
    """One picture, as a file or as bytes that can be read only once."""

    name: str
    data: bytes | None = None

    def open(self) -> BinaryIO:
        """Its bytes, from the start.

        Raises:
            PictureError: the file can't be read.
        """
        if self.data is not None:
            return io.BytesIO(self.data)
        try:
            return Path(self.name).open("rb")
        except OSError as error:
            raise PictureError("unreadable_file", f"can't be read: {error.strerror}") from error


@dataclass(frozen=True)
class Skipped:
    """How many files of a folder have no picture's suffix."""

    folder: str
    count: int


def find_pictures(names: Sequence[str]) -> tuple[list[Picture], list[Skipped]]:
    """The pictures in the order named, those of a folder in their own, and what was left out.

    Raises:
        UsageError: there is no such file, or a folder holds no picture.
    """
    if names.count(STANDARD_INPUT) > 1:
        raise UsageError("'-' is given twice: standard input can be read only once")
    pictures: list[Picture] = []
    skipped: list[Skipped] = []
    for name in names:
        found, left_out = _find(name)
        pictures += found
        if left_out:
            skipped.append(Skipped(name, left_out))
    return pictures, skipped


def _find(name: str) -> tuple[list[Picture], int]:
    if name == STANDARD_INPUT:
        return [_from_standard_input()], 0
    path = Path(name)
    try:
        if path.is_dir():
            return _in_folder(name)
        # A pipe, as a shell's <(...) makes, can't be read again when a request is repeated.
        return [Picture(name) if path.is_file() else Picture(name, path.read_bytes())], 0
    except FileNotFoundError:
        raise UsageError(
            f"{name!r}: no such file or folder; a service's URL starts with http:// or https://"
        ) from None
    except OSError as error:
        raise UsageError(f"{name!r}: {error.strerror}") from error


def _from_standard_input() -> Picture:
    if sys.stdin.isatty():
        raise UsageError("'-': standard input is a terminal: send a picture into it, as in '- < cat.png'")
    return Picture(STANDARD_INPUT, sys.stdin.buffer.read())


def _in_folder(folder: str) -> tuple[list[Picture], int]:
    files = list(_files_in(folder))
    pictures = [Picture(file) for file in files if Path(file).suffix.lower() in SUFFIXES]
    if not pictures:
        raise UsageError(f"{folder!r}: this folder holds no file named {', '.join(sorted(SUFFIXES))}")
    return pictures, len(files) - len(pictures)


def _files_in(folder: str) -> Iterator[str]:
    """All files below the folder, sorted, without those hidden by a leading dot."""

    def stop(error: OSError) -> None:
        raise UsageError(f"{error.filename!r}: {error.strerror}")

    for parent, folders, files in os.walk(folder, onerror=stop):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in files if not name.startswith(".")):
            yield os.path.join(parent, name)  # noqa: PTH118 - the path as the user wrote it
