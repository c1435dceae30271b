import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.support import Shapes
from train import sources
from train.sources import DataError, list_pictures


@pytest.fixture
def plain(shapes: Path, tmp_path: Path) -> Path:
    """The training pictures as FOLDER/CLASS/*."""
    return shutil.copytree(shapes / "train", tmp_path / "plain")


def test_folder_with_splits_gives_its_classes_and_counts(shapes: Path) -> None:
    listing = list_pictures(str(shapes))
    assert (listing.name, listing.class_names) == ("shapes", Shapes.CLASS_NAMES)
    assert Counter(listing.splits) == {"train": 72, "test": 24}


def test_plain_folder_gives_its_classes_and_no_splits(plain: Path) -> None:
    listing = list_pictures(str(plain))
    assert listing.class_names == Shapes.CLASS_NAMES
    assert Counter(listing.splits) == {"": 72}
    assert Counter(listing.labels) == {0: 24, 1: 24, 2: 24}


def test_class_may_be_called_train(plain: Path) -> None:
    (plain / "red bar").rename(plain / "train")
    assert list_pictures(str(plain)).class_names == ("blue ring", "grüne Fläche", "train")


def test_cifar10_by_name_comes_from_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    sources.import_torchvision()
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
    listing = list_pictures("cifar10")
    assert (listing.name, listing.class_names) == ("cifar10", ("cat", "dog"))
    assert Counter(listing.splits) == {"train": 20, "test": 4}


def test_hidden_files_are_no_pictures(plain: Path) -> None:
    (plain / "red bar" / ".DS_Store").touch()
    (plain / ".cache").mkdir()
    listing = list_pictures(str(plain))
    assert len(listing) == 72
    assert len(listing.class_names) == 3


def test_folders_inside_a_class_are_told(plain: Path) -> None:
    (plain / "red bar" / "more").mkdir()
    assert list_pictures(str(plain)).passed_over == [str(plain / "red bar" / "more")]


def test_missing_folder_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder: name one that holds CLASS"):
        list_pictures(str(tmp_path / "nowhere"))


def test_folder_without_classes_says_where_to_put_them(tmp_path: Path) -> None:
    (tmp_path / "cat.png").touch()
    with pytest.raises(DataError, match="holds no class folders: put each class's pictures"):
        list_pictures(str(tmp_path))


def test_folder_without_pictures_says_so(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="holds class folders, but no pictures in them"):
        list_pictures(str(tmp_path))


def test_class_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    for name in (b"caf\xe9", b"cat"):
        (tmp_path / os.fsdecode(name)).mkdir(parents=True)
    with pytest.raises(DataError, match="is not named in UTF-8: rename it"):
        list_pictures(str(tmp_path))


def test_splits_with_different_classes_are_refused(shapes: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(shapes, tmp_path / "shapes")
    (folder / "test" / "red bar").rename(folder / "test" / "blue bar")
    with pytest.raises(DataError, match="only one of train/ and test/ holds 'blue bar', 'red bar'"):
        list_pictures(str(folder))


def test_split_of_another_name_is_refused(shapes: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(shapes, tmp_path / "shapes")
    (folder / "test").rename(folder / "valid")
    with pytest.raises(DataError, match="holds 'valid' beside train/: name its splits train, val and test"):
        list_pictures(str(folder))


def test_single_class_is_refused(plain: Path) -> None:
    shutil.rmtree(plain / "red bar")
    shutil.rmtree(plain / "blue ring")
    with pytest.raises(DataError, match="one class, 'grüne Fläche': it must be from 2 to 10000"):
        list_pictures(str(plain))


def test_too_many_classes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_CLASSES", 4)
    for index in range(5):
        (tmp_path / str(index)).mkdir()
    with pytest.raises(DataError, match="holds 5 classes: it must be from 2 to 4"):
        list_pictures(str(tmp_path))


@pytest.mark.parametrize(("split", "kept", "needed"), [("train", 1, 2), ("test", 0, 1)])
def test_class_with_too_few_pictures_is_refused(
    split: str, kept: int, needed: int, shapes: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(shapes, tmp_path / "shapes")
    for path in sorted((folder / split / "red bar").iterdir())[kept:]:
        path.unlink()
    with pytest.raises(DataError, match=f"class '{split}/red bar' has {kept} of the {needed} different"):
        list_pictures(str(folder))
