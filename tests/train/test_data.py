import errno
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from service import imaging
from tests.support import Shapes
from train import cache as caching
from train.data import Dataset, load_dataset
from train.sources import DataError, list_pictures


def load(folder: Path, cache: Path, side: int = 8) -> Dataset:
    return load_dataset(list_pictures(str(folder)), side, 0, cache)


@pytest.fixture
def own(shapes: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(shapes, tmp_path / "shapes", copy_function=shutil.copy2)


def test_cifar10_holds_out_five_hundred_of_each_class(cifar10: Path, tmp_path: Path) -> None:
    dataset = load(cifar10, tmp_path)
    assert Counter(dataset.held_out.labels.tolist()) == dict.fromkeys(range(10), 500)
    assert (len(dataset.train), len(dataset.test)) == (45_000, 10_000)


def test_pictures_are_what_the_service_would_see(shapes: Path, cache: Path) -> None:
    dataset = load(shapes, cache, 16)
    images, labels = dataset.test.take(torch.tensor([5]))
    path = Path(dataset.test.name(5))
    assert np.array_equal(images[0].numpy(), imaging.decode(path.read_bytes(), 16, 16))
    assert dataset.class_names[int(labels[0])] == path.parent.name


def test_batches_give_every_picture_once_in_order(shapes: Path, cache: Path) -> None:
    held_out = load(shapes, cache).test
    batches = list(held_out.batches(10))
    assert [len(labels) for _, labels in batches] == [10, 10, 4]
    assert torch.equal(torch.cat([labels for _, labels in batches]), held_out.labels)


def test_pictures_are_decoded_once(shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(shapes, tmp_path)
    monkeypatch.setattr(imaging, "decode", lambda *_: pytest.fail("decoded again"))
    assert load(shapes, tmp_path).sha256 == first.sha256


def test_decoded_pictures_are_read_from_disk(shapes: Path, tmp_path: Path) -> None:
    images = load(shapes, tmp_path).train.images
    (file,) = tmp_path.glob("*/images.npy")
    assert str(file) in Path("/proc/self/maps").read_text()
    assert images.shape == (96, 8, 8, 3)


@pytest.mark.parametrize("change", ["another file", "new content", "another size"])
def test_changes_are_decoded_anew(change: str, own: Path, tmp_path: Path) -> None:
    load(own, tmp_path / "cache")
    side = 16 if change == "another size" else 8
    picture = own / "train" / "red bar" / "red bar 0.png"
    if change == "another file":
        Shapes(7).draw("red bar").save(own / "train" / "red bar" / "new.png")
    elif change == "new content":
        Shapes(7).draw("red bar").save(picture)
    changed = load(own, tmp_path / "cache", side)
    fresh = load(own, tmp_path / "other", side)
    assert changed.sha256 == fresh.sha256
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_full_disk_leaves_no_half_cache(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(caching.os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match="No space left"):
        load(shapes, tmp_path)
    assert not list(tmp_path.iterdir())


def test_fingerprint_sees_a_changed_pixel_and_a_moved_picture(own: Path, tmp_path: Path) -> None:
    prints = {load(own, tmp_path / "cache").sha256}
    source = own / "train" / "red bar" / "red bar 0.png"
    target = own / "train" / "blue ring" / source.name
    source.rename(target)
    prints.add(load(own, tmp_path / "cache").sha256)
    Shapes(9).draw("red bar").save(target)
    prints.add(load(own, tmp_path / "cache").sha256)
    assert len(prints) == 3


def test_unreadable_pictures_are_left_out_and_named(own: Path, tmp_path: Path) -> None:
    (own / "test" / "red bar" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (own / "test" / "red bar" / "notes.txt").write_text("not a picture")
    dataset = load(own, tmp_path / "cache")
    assert len(dataset.test) == 24
    assert [text.partition(": ")[0] for text in dataset.report.unreadable] == [
        str(own / "test" / "red bar" / name) for name in ("broken.png", "notes.txt")
    ]


def test_folder_without_a_readable_picture_is_refused(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for index in range(2):
            (tmp_path / name / f"{index}.png").write_bytes(b"no")
    with pytest.raises(DataError, match="none of its 4 files is a readable picture"):
        load(tmp_path, tmp_path / ".cache")


def test_class_without_readable_pictures_is_refused(own: Path, tmp_path: Path) -> None:
    for path in (own / "train" / "red bar").iterdir():
        path.write_bytes(b"no")
    with pytest.raises(DataError, match="class 'train/red bar' has 0 of the 2 different, readable pictures"):
        load(own, tmp_path / "cache")
