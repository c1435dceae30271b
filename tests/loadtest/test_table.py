import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.table import BEGIN, END
from tests.loadtest.stub import StubServer, running
from tests.support import ROOT

QUICK = ("--scenario", "cifar", "--step", "1s", "--duration", "1s", "--precision", "0.9", "--rate", "15")


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "loadtest.table", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_table_has_a_row_for_each_model_and_goes_between_the_marks(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nof yesterday\n{END}\nafter\n", encoding="utf-8")
    kept = ("--into", str(readme), "--report", str(tmp_path / "reports"))
    with running(StubServer(work=0.02)) as url:
        done = run("--url", url, *QUICK, "--slo", "p95=400ms", "--share", "0.5", *kept)
    assert done.returncode == 0, done.stdout + done.stderr
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}\n| model | scenario |")
    assert text.endswith(f"{END}\nafter\n")
    assert "of yesterday" not in text
    (row,) = [line.split(" | ") for line in text.splitlines() if line.startswith("| stub | cifar |")]
    holds, at = (float(cell.removesuffix("/s")) for cell in row[2:4])
    assert at == pytest.approx(holds / 2, abs=1)
    assert row[-1] == "passed |"
    assert (tmp_path / "reports" / "stub-cifar" / "report.html").exists()


def test_scenario_that_no_rate_holds_is_a_row_and_a_failure() -> None:
    with running(StubServer(work=0.1)) as url:
        done = run("--url", url, *QUICK, "--rate", "1", "--slo", "p50=50ms")
    assert done.returncode == 1
    assert "| stub | cifar | no rate |" in done.stdout


def test_file_without_marks_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("no place here", encoding="utf-8")
    done = run("--url", "http://127.0.0.1:1", "--into", str(readme))
    assert done.returncode == 2
    assert "where the table is to be" in done.stderr
