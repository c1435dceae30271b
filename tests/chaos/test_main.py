"""The command itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from chaos.__main__ import main
from chaos.table import BEGIN
from loadtest.table import END
from tests.support import ROOT


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "fire"], "invalid choice: 'fire'"),
        (["--loud"], "unrecognized arguments: --loud"),
        (["--soak", "1d"], "'1d' is not allowed: give a duration"),
        (["--soak", "1"], "'1' is not allowed: give 10 s or more"),
        (["--only", "kill", "--soak", "1h"], "--soak goes with the experiment 'soak'"),
    ],
)
def test_wrong_argument_is_named(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_file_without_marks_is_refused_before_anything_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("no place here", encoding="utf-8")
    assert main(["--into", str(page)]) == 2
    assert f"chaos: {page}: put the lines {BEGIN}" in capsys.readouterr().err


def test_service_that_does_not_start_is_no_verdict(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")
    command = [sys.executable, "-m", "chaos", "--only", "kill", "--server-python", "false"]
    done = subprocess.run(
        [*command, "--into", str(page), "--report", str(tmp_path / "report")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "kill: not run" in done.stderr
    assert "ended with status 1 before it was ready" in done.stdout
    assert "| not run |" in page.read_text()
    assert (tmp_path / "report" / "chaos.json").exists()
