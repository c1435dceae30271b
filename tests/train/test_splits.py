from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from train.sources import UNSPLIT, DataError, Listing
from train.splits import Splits, split_listing


def split(
    labels: Sequence[int], splits: str | Sequence[str] = UNSPLIT, *, same: Sequence[int] = (), seed: int = 0
) -> Splits:
    """Split pictures that all differ, but for those at `same`."""
    parts = [splits] * len(labels) if isinstance(splits, str) else splits
    listing = Listing("made", ("a", "b", "c")[: max(labels) + 1], [], labels, parts)
    digests = np.arange(len(labels), dtype="<u8")
    digests[list(same)] = 1_000_000
    readable = range(len(labels))
    return split_listing(listing, readable, digests[:, None].view(np.uint8), seed)


def counts(indices: np.ndarray, labels: Sequence[int]) -> dict[int, int]:
    return dict(Counter(labels[index] for index in indices))


def test_plain_folder_gives_a_tenth_of_each_class_to_each_split() -> None:
    labels = [0] * 100 + [1] * 30
    parts = split(labels)
    assert counts(parts.held_out, labels) == {0: 10, 1: 3}
    assert counts(parts.test, labels) == {0: 10, 1: 3}
    assert sorted(np.concatenate([parts.train, parts.held_out, parts.test])) == list(range(130))


def test_given_test_is_kept_and_only_held_out_pictures_are_drawn() -> None:
    labels = [0] * 20 + [1] * 20 + [0, 1]
    parts = split(labels, ["train"] * 40 + ["test"] * 2)
    assert parts.test.tolist() == [40, 41]
    assert counts(parts.held_out, labels) == {0: 2, 1: 2}


def test_given_splits_are_taken_as_they_are() -> None:
    parts = split([0, 1, 0, 1, 0, 1], ["train", "train", "val", "val", "test", "test"])
    assert [part.tolist() for part in (parts.train, parts.held_out, parts.test)] == [[0, 1], [2, 3], [4, 5]]


def test_same_seed_draws_the_same_and_another_seed_others() -> None:
    labels = [0] * 100 + [1] * 100
    first, again, other = split(labels), split(labels), split(labels, seed=1)
    assert np.array_equal(first.held_out, again.held_out)
    assert not np.array_equal(first.held_out, other.held_out)


@pytest.mark.parametrize("seed", range(20))
def test_copies_go_the_same_way(seed: int) -> None:
    same = [0, 5, 11, 25]
    parts = split([0] * 20 + [1] * 20, same=same, seed=seed)
    assert sum(set(same) <= set(part.tolist()) for part in (parts.train, parts.held_out, parts.test)) == 1


def test_two_pictures_a_class_still_fill_all_splits() -> None:
    parts = split([0, 0, 1, 1, 2, 2])
    assert (len(parts.train), len(parts.held_out), len(parts.test)) == (3, 2, 1)


def test_class_of_nothing_but_copies_is_refused() -> None:
    with pytest.raises(DataError, match="class 'b' has 1 of the 2 different, readable pictures"):
        split([0] * 5 + [1] * 3, same=[5, 6, 7])
