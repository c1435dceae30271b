"""What the command says where it can't do its work, or is asked for nonsense."""

from pathlib import Path

import pytest

from ops.image.__main__ import SKIPPED, main


def test_machine_without_the_programs_is_told_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["--cache", str(tmp_path / "cache")]) == SKIPPED
    assert capsys.readouterr().out.startswith("SKIPPED: ")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--base", "no such file; write one with 'docker export'"),
        ("--context", "there is no Dockerfile"),
    ],
)
def test_path_that_is_not_there_is_refused(
    option: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([option, str(tmp_path / "none")]) == 2
    assert says in capsys.readouterr().err


def test_dockerfile_that_makes_no_image_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a\nVOLUME /data\n")
    assert main(["--context", str(tmp_path), "--cache", str(tmp_path / "cache")]) == 1
    assert capsys.readouterr().out.startswith("FAILED: Dockerfile:2: VOLUME can't be replayed")


def test_base_that_is_no_archive_is_told(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "base.tar").write_text("no archive")
    assert main(["--base", str(tmp_path / "base.tar"), "--cache", str(archive.parent)]) == SKIPPED
    assert "base.tar can't be unpacked: " in capsys.readouterr().out
