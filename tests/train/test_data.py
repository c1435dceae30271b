import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from service import imaging
from tests.support import Shapes
from train import data
from train.data import DataError, decode_samples, fingerprint, open_dataset


def test_folder_gives_its_classes_and_counts(shapes: Path) -> None:
    dataset = open_dataset(str(shapes))
    assert dataset.class_names == Shapes.CLASS_NAMES
    assert (dataset.name, len(dataset.test)) == ("shapes", 24)
    assert len(dataset.train) + len(dataset.held_out) == 72


def test_held_out_is_a_tenth_of_each_class_and_always_the_same(shapes: Path) -> None:
    first, second = open_dataset(str(shapes)), open_dataset(str(shapes))
    assert Counter(first.held_out.labels) == {0: 2, 1: 2, 2: 2}
    assert [picture.name for picture in first.held_out.pictures] == [
        picture.name for picture in second.held_out.pictures
    ]


def test_no_picture_is_in_two_splits(shapes: Path) -> None:
    dataset = open_dataset(str(shapes))
    names = [picture.name for split in (dataset.train, dataset.held_out) for picture in split.pictures]
    assert len(set(names)) == len(names) == 72


def test_cifar10_holds_out_five_hundred_of_each_class(cifar10: Path) -> None:
    dataset = open_dataset(str(cifar10))
    assert Counter(dataset.held_out.labels) == dict.fromkeys(range(10), 500)
    assert (len(dataset.train), len(dataset.test)) == (45_000, 10_000)


def test_cifar10_by_name_comes_from_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    data.import_torchvision()
    import torchvision.datasets  # noqa: PLC0415 - it needs the line above

    class Downloaded:
        """Stands in for 170 MB from a host that a test must not depend on; the rest of the path is real."""

        classes = ("cat", "dog")

        def __init__(self, root: str, train: bool, download: bool = False) -> None:
            assert (root, download) == ("data", True)
            count = 20 if train else 4
            self.data = np.random.default_rng(train).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
            self.targets = [index % 2 for index in range(count)]

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Downloaded)
    dataset = open_dataset("cifar10")
    assert (dataset.name, dataset.class_names) == ("cifar10", ("cat", "dog"))
    pixels = decode_samples(dataset.test, 32, "test")
    assert np.array_equal(pixels.images.numpy(), Downloaded("data", train=False, download=True).data)


def test_pictures_are_what_the_service_would_see(shapes: Path) -> None:
    dataset = open_dataset(str(shapes))
    pixels = decode_samples(dataset.test, 16, "test")
    expected = imaging.decode(dataset.test.pictures[5].read(), 16, 16)
    assert np.array_equal(pixels.images[5].numpy(), expected)
    assert pixels.labels.tolist() == list(dataset.test.labels)


def test_fingerprint_sees_a_changed_pixel_and_a_changed_label(shapes: Path) -> None:
    dataset = open_dataset(str(shapes))
    pixels = decode_samples(dataset.test, 8, "test")
    other_image = data.Pixels(pixels.images.clone(), pixels.labels)
    other_image.images[0, 0, 0, 0] ^= 1
    other_label = data.Pixels(pixels.images, torch.roll(pixels.labels, 1))
    prints = {fingerprint(dataset.class_names, [one]) for one in (pixels, other_image, other_label)}
    assert len(prints) == 3


def test_all_unreadable_pictures_are_named(shapes: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(shapes, tmp_path / "shapes")
    for name in ("broken.png", "notes.txt"):
        (folder / "test" / "red bar" / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError) as caught:
        decode_samples(open_dataset(str(folder)).test, 8, "test")
    assert "2 test pictures can't be read; mend or remove them:" in str(caught.value)
    assert "broken.png: " in str(caught.value)
    assert "notes.txt: " in str(caught.value)


def test_missing_folder_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder: name one that holds train/CLASS"):
        open_dataset(str(tmp_path / "nowhere"))


def test_folder_without_classes_says_where_to_put_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no class folders"):
        open_dataset(str(tmp_path))


def test_class_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split / os.fsdecode(b"caf\xe9")).mkdir(parents=True)
    with pytest.raises(DataError, match="is not named in UTF-8: rename it"):
        open_dataset(str(tmp_path))


def test_splits_with_different_classes_are_refused(shapes: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(shapes, tmp_path / "shapes")
    (folder / "test" / "red bar").rename(folder / "test" / "blue bar")
    with pytest.raises(DataError, match="only one of train/ and test/ holds 'blue bar', 'red bar'"):
        open_dataset(str(folder))


def test_single_class_is_refused(shapes: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        shutil.copytree(shapes / split / "red bar", tmp_path / split / "red bar")
    with pytest.raises(DataError, match="one class, 'red bar': at least 2"):
        open_dataset(str(tmp_path))


def test_class_with_one_picture_is_refused(shapes: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(shapes, tmp_path / "shapes")
    for path in sorted((folder / "train" / "red bar").iterdir())[1:]:
        path.unlink()
    with pytest.raises(DataError, match="holds 1 of the 2 pictures"):
        open_dataset(str(folder))
