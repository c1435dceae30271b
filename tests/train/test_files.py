from pathlib import Path

import pytest

from train.files import write_whole


def test_content_is_written_and_nothing_stands_beside_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "new" / "file", b"one")
    write_whole(tmp_path / "new" / "file", b"two")
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "new").iterdir()] == [("file", b"two")]


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"old")
    (tmp_path / "file.partial").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
