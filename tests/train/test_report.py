import shutil
from pathlib import Path

import pytest

from tests.support import Shapes
from train.data import load_dataset
from train.report import DataReport, present, remind
from train.sources import DataError, list_pictures


@pytest.fixture
def own(shapes: Path, tmp_path: Path) -> Path:
    return shutil.copytree(shapes, tmp_path / "shapes")


def report_on(folder: Path, tmp_path: Path) -> DataReport:
    return load_dataset(list_pictures(str(folder)), 8, 0, tmp_path / "cache").report


def test_sound_data_has_counts_and_no_problems(own: Path, tmp_path: Path) -> None:
    report = report_on(own, tmp_path)
    assert report.counts == dict.fromkeys(Shapes.CLASS_NAMES, (22, 2, 8))
    assert report.imbalance == 1
    assert list(report.problems()) == []
    present(report, strict=True)


def test_picture_in_two_splits_is_a_leak(own: Path, tmp_path: Path) -> None:
    original = own / "train" / "red bar" / "red bar 0.png"
    copy = own / "test" / "red bar" / "copied.png"
    shutil.copy(original, copy)
    report = report_on(own, tmp_path)
    assert report.leaks == [(str(original), str(copy))]
    assert report.contradictions == []


def test_same_picture_in_two_classes_is_a_contradiction(own: Path, tmp_path: Path) -> None:
    original = own / "train" / "blue ring" / "blue ring 0.png"
    copy = own / "train" / "red bar" / "copied.png"
    shutil.copy(original, copy)
    assert report_on(own, tmp_path).contradictions == [(str(original), str(copy))]


def test_rare_class_is_told_with_what_to_do(own: Path, tmp_path: Path) -> None:
    for path in sorted((own / "train" / "red bar").iterdir())[3:]:
        path.unlink()
    report = report_on(own, tmp_path)
    assert report.imbalance == 11
    (problem,) = report.problems()
    assert "11 times the training pictures of the smallest: --balance" in problem


def test_strict_makes_problems_fatal(own: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (own / "train" / "red bar" / "broken.png").write_bytes(b"no")
    report = report_on(own, tmp_path)
    present(report, strict=False)
    assert "broken.png" in caplog.text
    with pytest.raises(DataError, match="1 kinds of problems"):
        present(report, strict=True)


def test_problems_are_told_again_at_the_end(
    own: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (own / "train" / "red bar" / "broken.png").write_bytes(b"no")
    remind(report_on(own, tmp_path), Path("runs/own/data.json"))
    assert caplog.messages == ["1 unreadable files are left out; see runs/own/data.json"]


def test_many_classes_show_the_largest_and_the_smallest(caplog: pytest.LogCaptureFixture) -> None:
    counts = {f"class {index}": (index, 1, 1) for index in range(1, 101)}
    with caplog.at_level("INFO"):
        present(DataReport(counts, 1.0, [], [], [], []), strict=False)
    assert "class 100" in caplog.text
    assert "class 1\n" in caplog.text
    assert "(80 more)" in caplog.text
    assert "class 50" not in caplog.text
