"""CIFAR-10 or a labelled folder in; which pictures there are, in which class and which split, out."""

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from train.torchvision_compat import import_torchvision

CIFAR10 = "cifar10"
DOWNLOADS = Path("data")
SPLITS = ("train", "val", "test")
UNSPLIT = ""
MOST_CLASSES = 10_000
_FEWEST_TO_SPLIT = 2  # one to learn from, one to judge by


class DataError(Exception):
    """The data can't be trained on; the message says why and what to change."""


class Encoded(Protocol):
    """A picture that has not been decoded yet."""

    @property
    def name(self) -> str:
        """How to name the picture in a message."""

    @property
    def identity(self) -> str:
        """Changes when the picture does; cheap to tell."""

    def read(self) -> bytes:
        """The picture as a file's bytes."""


@dataclass(frozen=True, slots=True)
class FilePicture:
    """A picture in a file."""

    path: Path

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    @property
    def identity(self) -> str:
        """The file's path, size and time of change."""
        facts = self.path.stat()
        return f"{self.path.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}"

    def read(self) -> bytes:
        """The file as it is."""
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class ArrayPicture:
    """A picture of a published set that came as pixels, uint8 (H, W, 3); read as a lossless PNG."""

    name: str
    pixels: NDArray[np.uint8]

    @property
    def identity(self) -> str:
        """The name: published sets do not change."""
        return self.name

    def read(self) -> bytes:
        """The pixels as a PNG file."""
        buffer = io.BytesIO()
        Image.fromarray(self.pixels).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


@dataclass(frozen=True)
class Listing:
    """Every picture of a source; labels are indices into class_names, splits one of SPLITS or UNSPLIT."""

    name: str
    class_names: tuple[str, ...]
    pictures: Sequence[Encoded]
    labels: Sequence[int]
    splits: Sequence[str]
    passed_over: Sequence[str] = ()  # names of what stands among the pictures and is no file

    def __len__(self) -> int:
        return len(self.labels)


def default_source() -> str:
    """CIFAR-10: the folder in $GLIMPSE_DATA, or its name, by which it is downloaded."""
    return os.environ.get("GLIMPSE_DATA") or CIFAR10


def list_pictures(source: str) -> Listing:
    """List `cifar10` (downloaded when missing), FOLDER/{train,val,test}/CLASS/* or FOLDER/CLASS/*.

    Raises:
        DataError: there is no such folder, or its classes can't be told.
    """
    if source == CIFAR10:
        return _list_cifar10()
    folder = Path(source)
    if not source or not folder.is_dir():
        raise DataError(
            f"data {source!r} is no folder: name one that holds CLASS/* or {{train,val,test}}/CLASS/*"
        )
    parts = [split for split in SPLITS if _folders(folder / split)]
    return _list_split_folder(folder, parts) if "train" in parts else _list_plain_folder(folder)


def _list_cifar10() -> Listing:
    import_torchvision()
    from torchvision.datasets import CIFAR10 as Source  # noqa: PLC0415, N811 - it needs the line above

    pictures: list[Encoded] = []
    labels: list[int] = []
    splits: list[str] = []
    class_names: tuple[str, ...] = ()
    for split in ("train", "test"):
        try:
            part = Source(str(DOWNLOADS), train=split == "train", download=True)
        except (OSError, RuntimeError) as error:  # no network; a file with the wrong checksum
            raise DataError(
                f"CIFAR-10 can't be downloaded into {str(DOWNLOADS)!r} ({error}): go online, or name a "
                "folder that holds it as {train,test}/CLASS/* by --data or $GLIMPSE_DATA"
            ) from error
        class_names = tuple(part.classes)
        pictures += [ArrayPicture(f"{CIFAR10} {split} {i}", pixels) for i, pixels in enumerate(part.data)]
        labels += part.targets
        splits += [split] * len(part.targets)
    return Listing(CIFAR10, class_names, pictures, labels, splits)


def _list_split_folder(folder: Path, parts: Sequence[str]) -> Listing:
    if unknown := {path.name for path in _folders(folder)} - set(SPLITS):
        names = ", ".join(map(repr, sorted(unknown)))
        raise DataError(
            f"data {str(folder)!r} holds {names} beside train/: name its splits train, val and test"
        )
    class_names = _class_names(folder / "train")
    for part in parts:
        if odd := set(class_names) ^ set(_class_names(folder / part)):
            names = ", ".join(map(repr, sorted(odd)))
            raise DataError(
                f"data {str(folder)!r}: only one of train/ and {part}/ holds {names}; both need every class"
            )
    return _list_classes(folder, class_names, {part: folder / part for part in parts})


def _list_plain_folder(folder: Path) -> Listing:
    return _list_classes(folder, _class_names(folder), {UNSPLIT: folder})


def _list_classes(folder: Path, class_names: tuple[str, ...], parts: Mapping[str, Path]) -> Listing:
    pictures: list[Encoded] = []
    labels: list[int] = []
    splits: list[str] = []
    passed_over: list[str] = []
    for split, place in parts.items():
        for label, class_name in enumerate(class_names):
            entries = sorted(path for path in (place / class_name).iterdir() if _visible(path))
            files = [path for path in entries if path.is_file()]
            passed_over += [str(path) for path in entries if not path.is_file()]
            pictures += [FilePicture(path) for path in files]
            labels += [label] * len(files)
            splits += [split] * len(files)
    if not pictures:
        raise DataError(f"data {str(folder)!r} holds class folders, but no pictures in them: fill them")
    listing = Listing(folder.resolve().name, class_names, pictures, labels, splits, passed_over)
    check_counts(listing, range(len(listing)))
    return listing


def check_counts(listing: Listing, indices: Iterable[int]) -> None:
    """See that every class has enough of the pictures at `indices` in every split that is given.

    Raises:
        DataError: a class has too few to learn from and to judge by.
    """
    given = set(listing.splits)
    counts = {split: np.zeros(len(listing.class_names), np.int64) for split in given}
    for index in indices:
        counts[listing.splits[index]][listing.labels[index]] += 1
    for split, of_class in counts.items():
        # What is not given is taken from the training pictures.
        fewest = _FEWEST_TO_SPLIT if split in ("train", UNSPLIT) and given != set(SPLITS) else 1
        rarest = int(of_class.argmin())
        if of_class[rarest] < fewest:
            place = f"{split}/{listing.class_names[rarest]}" if split else listing.class_names[rarest]
            raise DataError(
                f"data {listing.name!r}: class {place!r} has {of_class[rarest]} of the {fewest} different, "
                "readable pictures that it needs: add some, or remove the class"
            )


def _class_names(place: Path) -> tuple[str, ...]:
    folders = _folders(place)
    if not folders:
        raise DataError(
            f"{str(place)!r} holds no class folders: put each class's pictures into a folder of its own"
        )
    names = tuple(sorted(path.name for path in folders))
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"{str(place)!r}: class folder {name!r} is not named in UTF-8: rename it"
            ) from error
    if not 2 <= len(names) <= MOST_CLASSES:
        what = f"one class, {names[0]!r}" if len(names) == 1 else f"{len(names)} classes"
        raise DataError(f"{str(place)!r} holds {what}: it must be from 2 to {MOST_CLASSES}")
    return names


def _folders(place: Path) -> list[Path]:
    return [path for path in place.iterdir() if _visible(path) and path.is_dir()] if place.is_dir() else []


def _visible(path: Path) -> bool:
    return not path.name.startswith(".")
