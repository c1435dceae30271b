import subprocess
import sys
from pathlib import Path

from service.settings_table import BEGIN, END, settings_table
from tests.support import ROOT


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "service.settings_table", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def row(variable: str) -> list[str]:
    (found,) = (line for line in settings_table().splitlines() if line.startswith(f"| `{variable}` |"))
    return [cell.strip() for cell in found.strip("|").split("|")][1:]


def test_row_has_default_and_what_is_allowed() -> None:
    assert row("GLIMPSE_PORT")[:2] == ["8000", "whole numbers from 0 up to 65535"]
    assert row("GLIMPSE_MAX_WAIT_MS")[:2] == ["30", "numbers above 0 up to 60000"]
    assert row("GLIMPSE_VARIANT")[:2] == ["auto", "auto, fp32, int8"]
    assert row("GLIMPSE_DEFAULT_MODEL")[:2] == ["unset", "text"]
    assert row("GLIMPSE_WORKERS")[:2] == ["by CPUs", "whole numbers from 1 up to 256"]
    assert row("GLIMPSE_PAGE")[:2] == ["true", "true, false"]


def test_what_looks_like_a_tag_is_shown_as_it_is() -> None:
    assert "&lt;model&gt;/&lt;version&gt;/" in row("GLIMPSE_ARTIFACTS")[2]


def test_table_goes_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nof yesterday\n{END}\nafter\n", encoding="utf-8")
    done = run("--into", str(page))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n{settings_table()}\n{END}\nafter\n"


def test_file_without_marks_is_left_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no place here\n", encoding="utf-8")
    done = run("--into", str(page))
    assert done.returncode == 2
    assert done.stderr.startswith(f"settings_table: --into {page}: put the lines {BEGIN} and {END} where")
    assert page.read_text(encoding="utf-8") == "no place here\n"
