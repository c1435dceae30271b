"""A listing in; which of its pictures are for training, held out and for the test out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.sources import UNSPLIT, Listing, check_counts

HELD_OUT_FRACTION = 0.1
TEST_FRACTION = 0.1


@dataclass(frozen=True)
class Splits:
    """Indices into a listing, int64, ascending."""

    train: NDArray[np.int64]
    held_out: NDArray[np.int64]
    test: NDArray[np.int64]


def split_listing(listing: Listing, readable: Sequence[int], digests: NDArray[np.uint8], seed: int) -> Splits:
    """Take the splits that the source gives; draw those that it does not from its training pictures.

    Drawing is stratified, and pictures with the same pixels go the same way: a copy of a training picture
    would make a test look better than it is.

    Args:
        listing: what there is.
        readable: indices into it, ascending.
        digests: uint8 (N, bytes), equal where pixels are.
        seed: of the drawing.

    Raises:
        DataError: a class is left with too few pictures.
    """
    of: dict[str, list[int]] = {split: [] for split in ("train", "val", "test", UNSPLIT)}
    for index in readable:
        of[listing.splits[index]].append(index)
    pool = of["train"] + of[UNSPLIT]
    firsts = _first_of_each(pool, digests)
    check_counts(listing, [index for index in readable if firsts.get(index, index) == index])

    shares = {
        split: fraction
        for split, fraction in (("val", HELD_OUT_FRACTION), ("test", TEST_FRACTION))
        if not of[split]
    }
    drawn = _draw([index for index in pool if firsts[index] == index], listing.labels, shares, seed)
    kept = [index for index in pool if firsts[index] not in drawn]
    for index in pool:
        if firsts[index] in drawn:
            of[drawn[firsts[index]]].append(index)
    return Splits(*(np.array(sorted(part), np.int64) for part in (kept, of["val"], of["test"])))


def _first_of_each(indices: Sequence[int], digests: NDArray[np.uint8]) -> dict[int, int]:
    """To each index the first one with the same digest."""
    seen: dict[bytes, int] = {}
    return {index: seen.setdefault(digests[index].tobytes(), index) for index in indices}


def _draw(
    indices: Sequence[int], labels: Sequence[int], shares: dict[str, float], seed: int
) -> dict[int, str]:
    """Where each drawn index goes; each class keeps at least one, and gives each split one if it has it."""
    rng = np.random.default_rng(seed)
    of_class: dict[int, list[int]] = {}
    for index in indices:
        of_class.setdefault(labels[index], []).append(index)
    drawn: dict[int, str] = {}
    pairs = 0
    for _, members in sorted(of_class.items()):
        shuffled = rng.permutation(members).tolist()
        wanted = list(shares)
        if len(members) <= len(shares):  # two pictures, two splits to fill: the classes take turns
            wanted = [wanted[pairs % len(wanted)]]
            pairs += 1
        for split in wanted:
            count = max(1, round(len(members) * shares[split]))
            drawn.update(dict.fromkeys(shuffled[:count], split))
            shuffled = shuffled[count:]
    return drawn
