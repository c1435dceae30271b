import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.capacity import Capacity
from loadtest.drive import Load
from loadtest.measure import Run
from loadtest.results import Generator, Measured, Result
from loadtest.table import BEGIN, END, SUMMARY_BEGIN, Cell, main
from tests.loadtest.stub import StubServer, running
from tests.support import ROOT

QUICK = ("--scenario", "cifar", "--step", "1s", "--duration", "1s", "--precision", "0.9", "--rate", "20")


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "loadtest.table", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def test_table_has_a_row_for_each_model_and_goes_between_the_marks(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nof yesterday\n{END}\nafter\n", encoding="utf-8")
    summary = tmp_path / "summary.md"
    summary.write_text(f"{SUMMARY_BEGIN}\n{END}\n", encoding="utf-8")
    kept = ("--into", str(readme), "--summary", str(summary), "--report", str(tmp_path / "reports"))
    with running(StubServer(work=0.05)) as url:
        done = run("--url", url, *QUICK, "--slo", "p95=400ms", "--share", "0.9", *kept)
    assert done.returncode == 0, done.stdout + done.stderr
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}\n| model | scenario |")
    assert text.endswith(f"{END}\nafter\n")
    assert "of yesterday" not in text
    (row,) = [line.split(" | ") for line in text.splitlines() if line.startswith("| stub | cifar |")]
    holds, at = (float(cell.removesuffix("/s")) for cell in row[2:4])
    assert at == pytest.approx(0.9 * holds, abs=1)
    assert row[-1] == "passed |"
    rates = summary.read_text(encoding="utf-8").splitlines()
    assert rates[1:-1] == ["| holds up to | stub |", "|---|---|", f"| `cifar` | {row[2]} |"]
    assert (tmp_path / "reports" / "stub-cifar" / "report.html").exists()


def test_scenario_that_no_rate_holds_is_a_row() -> None:
    row = Cell(Load(20, 10, "phone", "cnn"), Capacity(None, []), None).row()
    assert row == ("cnn", "phone", "no rate", *[""] * 7, "failed")


def test_scenario_of_which_all_is_refused_at_its_share_is_a_row() -> None:
    measured = Measured([Result("png", 1, "busy", 503, "1")], [Generator(0.1, 1, 1, 1, [0.1])], seconds=1)
    run = Run(Load(20, 1, "phone", "cnn"), measured, ["1 of 1 requests were refused"], [], None)
    row = Cell(run.load, Capacity(run, []), run).row()
    assert row == ("cnn", "phone", "20/s", "20/s", "0", *[""] * 5, "failed")


def test_file_without_marks_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("no place here", encoding="utf-8")
    assert main(["--url", "http://127.0.0.1:1", "--into", str(readme)]) == 2
    assert "where the table is to be" in capsys.readouterr().err
