"""CIFAR-10 or a labelled folder in; splits of encoded samples, then of uint8 pixels, out."""

import hashlib
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from service import imaging
from train.torchvision_compat import import_torchvision

CIFAR10 = "cifar10"
DOWNLOADS = Path("data")
HELD_OUT_FRACTION = 0.1
_PROBLEMS_SHOWN = 50
HELD_OUT_SEED = 0  # the same pictures are held out whatever seed a run has


class DataError(Exception):
    """The data can't be trained on; the message says why and what to change."""


class Encoded(Protocol):
    """A picture that has not been decoded yet."""

    @property
    def name(self) -> str:
        """How to name the picture in a message."""

    def read(self) -> bytes:
        """The picture as a file's bytes."""


@dataclass(frozen=True)
class FilePicture:
    """A picture in a file."""

    path: Path

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    def read(self) -> bytes:
        """The file as it is."""
        return self.path.read_bytes()


@dataclass(frozen=True)
class ArrayPicture:
    """A picture that came as pixels, uint8 (H, W, 3); read as a lossless PNG."""

    name: str
    pixels: NDArray[np.uint8]

    def read(self) -> bytes:
        """The pixels as a PNG file."""
        buffer = io.BytesIO()
        Image.fromarray(self.pixels).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


@dataclass(frozen=True)
class Samples:
    """Encoded pictures with their labels, indices into the dataset's class names."""

    pictures: Sequence[Encoded]
    labels: Sequence[int]

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Iterable[int]) -> "Samples":
        """The samples at `indices`, in that order."""
        chosen = list(indices)
        return Samples([self.pictures[i] for i in chosen], [self.labels[i] for i in chosen])


@dataclass(frozen=True)
class Dataset:
    """Training sees `train`; every choice is made on `held_out`; `test` is measured once."""

    name: str
    class_names: tuple[str, ...]
    train: Samples
    held_out: Samples
    test: Samples


@dataclass(frozen=True)
class Pixels:
    """A decoded split: images uint8 (N, side, side, 3) and labels int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def open_dataset(source: str) -> Dataset:
    """List the pictures of `cifar10` (downloaded when missing) or of FOLDER/{train,test}/{class}/*.

    A tenth of the training pictures of each class is held out, always the same ones.

    Raises:
        DataError: the folder is missing, empty, or its splits have different classes.
    """
    if source == CIFAR10:
        name, class_names, train, test = _read_cifar10()
    else:
        name, class_names, train, test = _read_folder(Path(source))
    kept, held_out = _hold_out(train.labels)
    return Dataset(name, class_names, train.subset(kept), train.subset(held_out), test)


def decode_samples(samples: Samples, side: int, description: str) -> Pixels:
    """Decode and resize every sample with the service's own code, showing progress.

    Raises:
        DataError: pictures can't be decoded; the message names them.
    """
    images = np.empty((len(samples), side, side, 3), np.uint8)

    def decode_one(index: int) -> str | None:
        picture = samples.pictures[index]
        try:
            images[index] = imaging.decode(picture.read(), side, side)
        except (imaging.ImageError, OSError) as error:
            return f"{picture.name}: {error}"
        return None

    with ThreadPoolExecutor() as pool:
        done = pool.map(decode_one, range(len(samples)))
        progress = tqdm(done, f"decode {description}", len(samples), unit="img", disable=None, leave=False)
        problems = [problem for problem in progress if problem is not None]
    if problems:
        shown = "\n  ".join(problems[:_PROBLEMS_SHOWN])
        raise DataError(
            f"{len(problems)} {description} pictures can't be read; mend or remove them:\n  {shown}"
        )
    return Pixels(torch.from_numpy(images), torch.tensor(samples.labels))


def decode_dataset(dataset: Dataset, side: int) -> tuple[Pixels, Pixels, Pixels]:
    """The decoded train, held-out and test splits.

    Raises:
        DataError: pictures can't be decoded; the message names them.
    """
    return (
        decode_samples(dataset.train, side, "training"),
        decode_samples(dataset.held_out, side, "held-out"),
        decode_samples(dataset.test, side, "test"),
    )


def fingerprint(class_names: Sequence[str], splits: Iterable[Pixels]) -> str:
    """SHA-256 of class names, labels and decoded pixels: what the network saw, however it was stored."""
    digest = hashlib.sha256("\0".join(class_names).encode())
    for split in splits:
        digest.update(split.labels.numpy().tobytes())
        digest.update(split.images.numpy().data)
    return digest.hexdigest()


def _read_cifar10() -> tuple[str, tuple[str, ...], Samples, Samples]:
    import_torchvision()
    from torchvision.datasets import CIFAR10 as Source  # noqa: PLC0415, N811 - it needs the line above

    train, test = (Source(str(DOWNLOADS), train=is_train, download=True) for is_train in (True, False))
    return (
        CIFAR10,
        tuple(train.classes),
        _array_samples(train.data, train.targets, "train"),
        _array_samples(test.data, test.targets, "test"),
    )


def _array_samples(images: NDArray[np.uint8], labels: list[int], split: str) -> Samples:
    return Samples(
        [ArrayPicture(f"{CIFAR10} {split} {i}", pixels) for i, pixels in enumerate(images)], labels
    )


def _read_folder(folder: Path) -> tuple[str, tuple[str, ...], Samples, Samples]:
    if not folder.is_dir():
        raise DataError(
            f"data {str(folder)!r} is no folder: name one that holds train/CLASS/* and test/CLASS/*"
        )
    class_names = _class_names(folder / "train")
    if odd := set(class_names) ^ set(_class_names(folder / "test")):
        names = ", ".join(map(repr, sorted(odd)))
        raise DataError(
            f"data {str(folder)!r}: only one of train/ and test/ holds {names}; both need every class"
        )
    if len(class_names) < 2:
        raise DataError(f"data {str(folder)!r} holds one class, {class_names[0]!r}: at least 2 are needed")
    train = _read_split(folder / "train", class_names, fewest=2)  # one to learn from, one to hold out
    test = _read_split(folder / "test", class_names, fewest=1)
    return folder.resolve().name, class_names, train, test


def _class_names(split: Path) -> tuple[str, ...]:
    folders = [path for path in split.iterdir() if _visible(path) and path.is_dir()] if split.is_dir() else []
    if not folders:
        raise DataError(
            f"{str(split)!r} holds no class folders: put each class's pictures into {split.name}/CLASS/"
        )
    names = sorted(path.name for path in folders)
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"{str(split)!r}: class folder {name!r} is not named in UTF-8: rename it"
            ) from error
    return tuple(names)


def _read_split(split: Path, class_names: Sequence[str], fewest: int) -> Samples:
    pictures: list[Encoded] = []
    labels: list[int] = []
    for label, name in enumerate(class_names):
        paths = sorted(path for path in (split / name).iterdir() if _visible(path) and path.is_file())
        if len(paths) < fewest:
            raise DataError(
                f"{str(split / name)!r} holds {len(paths)} of the {fewest} pictures that a class needs"
            )
        pictures += [FilePicture(path) for path in paths]
        labels += [label] * len(paths)
    return Samples(pictures, labels)


def _visible(path: Path) -> bool:
    return not path.name.startswith(".")


def _hold_out(labels: Sequence[int]) -> tuple[list[int], list[int]]:
    """Indices kept for training and indices held out, stratified, each in its original order."""
    rng = np.random.default_rng(HELD_OUT_SEED)
    of_class: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        of_class.setdefault(label, []).append(index)
    held_out: set[int] = set()
    for _, indices in sorted(of_class.items()):
        count = max(1, round(len(indices) * HELD_OUT_FRACTION))
        held_out.update(rng.permutation(indices)[:count].tolist())
    return [i for i in range(len(labels)) if i not in held_out], sorted(held_out)
