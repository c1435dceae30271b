"""A listing in; its three splits as uint8 pixels, and a report on them, out."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.cache import CACHE, decode_listing
from train.report import DataReport, inspect
from train.sources import DataError, Listing
from train.splits import split_listing


@dataclass(frozen=True)
class Pixels:
    """A split: some of the decoded pictures, which may lie on disk, with their labels and names.

    images: uint8 (M, side, side, 3), of which the split's are at `indices`, int64 (N,).
    labels: int64 (N,).
    names: of all M pictures.
    """

    images: Tensor
    indices: Tensor
    labels: Tensor
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """The images and labels at some positions of the split."""
        return self.images[self.indices[positions]], self.labels[positions]

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images and labels in order, up to `size` at a time."""
        for positions in torch.arange(len(self)).split(size):
            yield self.take(positions)

    def name(self, position: int) -> str:
        """Of the picture at a position."""
        return self.names[int(self.indices[position])]


@dataclass(frozen=True)
class Dataset:
    """Training sees `train`; every choice is made on `held_out`; `test` is measured once."""

    name: str
    class_names: tuple[str, ...]
    train: Pixels
    held_out: Pixels
    test: Pixels
    sha256: str  # of what a network sees of it: class names, labels and decoded pixels
    report: DataReport


def load_dataset(listing: Listing, side: int, split_seed: int, cache: Path = CACHE) -> Dataset:
    """Decode and split what a listing names; unreadable pictures are left out and reported.

    Args:
        listing: of CIFAR-10 or a folder.
        side: pixels, to which every picture is resized.
        split_seed: decides which pictures are held out, where the source does not say.
        cache: where decoded pictures are kept.

    Raises:
        DataError: too few pictures are readable.
        OSError: the cache can't be written.
    """
    decoded = decode_listing(listing, side, cache)
    readable = [index for index in range(len(listing)) if index not in decoded.problems]
    if not readable:
        first = f"{listing.pictures[0].name}: {decoded.problems[0]}"
        raise DataError(
            f"data {listing.name!r}: none of its {len(listing)} files is a readable picture; {first}"
        )
    splits = split_listing(listing, readable, decoded.digests, split_seed)
    names = [picture.name for picture in listing.pictures]
    labels = torch.tensor(listing.labels)

    def pixels(indices: NDArray[np.int64]) -> Pixels:
        chosen = torch.from_numpy(indices)
        return Pixels(decoded.images, chosen, labels[chosen], names)

    parts = [splits.train, splits.held_out, splits.test]
    train, held_out, test = map(pixels, parts)
    sha256 = _fingerprint(listing.class_names, listing.labels, decoded.digests, parts)
    report = inspect(listing, splits, decoded)
    return Dataset(listing.name, listing.class_names, train, held_out, test, sha256, report)


def _fingerprint(
    class_names: Sequence[str],
    labels: Sequence[int],
    digests: NDArray[np.uint8],
    parts: Iterable[NDArray[np.int64]],
) -> str:
    """SHA-256 of class names, labels and pixels of the splits, however the pictures were stored."""
    digest = hashlib.sha256("\0".join(class_names).encode())
    of_picture = np.array(labels, "<i8")
    for indices in parts:
        digest.update(len(indices).to_bytes(8, "little"))
        digest.update(of_picture[indices].tobytes())
        digest.update(digests[indices].tobytes())
    return digest.hexdigest()
