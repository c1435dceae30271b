import os
from pathlib import Path

import pytest

from service.settings import SettingsError, read_settings
from service.settings_file import check_writable, load_settings, update_settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "glimpse.env"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test sets is gone after it."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


def test_lines_become_variables(file: Path) -> None:
    file.write_text('# ours\n\nGLIMPSE_PORT=9001\nexport GLIMPSE_HOST="::1"\n')
    load_settings(file)
    assert (os.environ["GLIMPSE_PORT"], os.environ["GLIMPSE_HOST"]) == ("9001", "::1")


def test_environment_comes_first(file: Path) -> None:
    os.environ["GLIMPSE_PORT"] = "9002"
    file.write_text("GLIMPSE_PORT=9001\n")
    load_settings(file)
    assert os.environ["GLIMPSE_PORT"] == "9002"


@pytest.mark.parametrize("line", ["GLIMPSE_PORT", "=9001", "what is this", 'GLIMPSE_HOST="'])
def test_line_of_another_form_is_refused_by_its_number(file: Path, line: str) -> None:
    file.write_text(f"GLIMPSE_WORKERS=1\n{line}\n")
    with pytest.raises(SettingsError, match=r"glimpse\.env', line 2: not of the form NAME=VALUE$"):
        load_settings(file)
    assert "GLIMPSE_WORKERS" not in os.environ


@pytest.mark.parametrize("name", ["GLIMSPE_WORKERS", "TMPDIR"])
def test_name_that_is_none_of_ours_is_refused_without_its_value(file: Path, name: str) -> None:
    file.write_text(f"GLIMPSE_THREADS=1\n{name}=/secret\n")
    with pytest.raises(
        SettingsError, match=rf"glimpse\.env', line 2: {name} is no setting, .* GLIMPSE_"
    ) as told:
        load_settings(file)
    assert "/secret" not in str(told.value)
    assert "GLIMPSE_THREADS" not in os.environ


@pytest.mark.parametrize(
    ("content", "says"), [(None, "No such file or directory"), (b"\xff\xfe", "it is no UTF-8 text")]
)
def test_file_that_is_none_is_refused(file: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=f"glimpse.env' can't be read: {says}"):
        load_settings(file)


def test_new_file_has_a_head_and_is_taken(file: Path) -> None:
    update_settings(file, {"GLIMPSE_WORKERS": "3", "GLIMPSE_MAX_WAIT_MS": "12.5"}, "what fits")
    assert file.read_text().startswith("# what fits\n")
    load_settings(file)
    settings = read_settings()
    assert (settings.workers, settings.max_wait_ms) == (3, 12.5)


def test_other_lines_stay_and_so_does_who_may_read_them(file: Path) -> None:
    file.write_text("# mine\nGLIMPSE_API_KEYS=one,two\nGLIMPSE_WORKERS=8\nGLIMPSE_PORT=1")
    file.chmod(0o600)
    update_settings(file, {"GLIMPSE_WORKERS": "3", "GLIMPSE_THREADS": "2"}, "what fits")
    assert file.read_text() == (
        "# mine\nGLIMPSE_API_KEYS=one,two\nGLIMPSE_WORKERS=3\nGLIMPSE_PORT=1\nGLIMPSE_THREADS=2\n"
    )
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_what_can_not_be_written_is_known_before(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be written: No such file or directory"):
        check_writable(tmp_path / "nowhere" / "glimpse.env")
    with pytest.raises(SettingsError, match="can't be read: Is a directory"):
        check_writable(tmp_path)


def test_file_of_something_else_is_left_alone(file: Path) -> None:
    file.write_text("A poem\nof two lines\n")
    with pytest.raises(SettingsError, match="line 1"):
        check_writable(file)
