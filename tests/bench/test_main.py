"""`python -m bench` as a user runs it, on a real service, each part as short as it can be."""

import json
import subprocess
import sys
from pathlib import Path
from xml.dom import minidom

import pytest

from bench.table import BEGIN, SUMMARY_BEGIN
from loadtest.table import END
from tests.support import ROOT

SHORT = ("--calls", "3", "--rounds", "1", "--seconds", "1", "--requests", "20", "--model", "cnn")


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def folder(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one short run left all that it can write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLIMPSE_ARTIFACTS", str(artifacts))
        target = tmp_path_factory.mktemp("bench")
        (target / "page.md").write_text(f"before\n\n{BEGIN}\nof last time\n{END}\n\nafter\n")
        (target / "summary.md").write_text(f"{SUMMARY_BEGIN}\n{END}\n")
        into = ("--into", str(target / "page.md"), "--summary", str(target / "summary.md"))
        done = bench(*SHORT, *into, "--plot", str(target / "plot.svg"), "--report", str(target / "report"))
    assert done.returncode == 0, done.stderr
    assert "round 1 of 1: form, 16 at a time" in done.stderr
    return target


def test_tables_have_each_kind_of_call(folder: Path) -> None:
    text = (folder / "page.md").read_text()
    assert text.startswith(f"before\n\n{BEGIN}\n")
    assert text.endswith(f"{END}\n\nafter\n")
    assert "of last time" not in text
    for kind in ("form | 1", "form | 16", "form | 64", "bare body | 16", "batch of 32 | 1"):
        assert f"| cnn | {kind} |" in text
    for kind in ("cifar | 500/s", "phone | 20/s"):
        assert f"| cnn | {kind} | at random |" in text
        assert f"| cnn | {kind} | evenly |" in text
    for variant in ("fp32", "int8"):
        assert f" | {variant} | onnxruntime | 16 | 3 |" in text
    assert "machine: " in text


def test_summary_has_a_column_a_model(folder: Path) -> None:
    rows = [line.strip("|").split("|") for line in (folder / "summary.md").read_text().splitlines()[1:-1]]
    assert {len(row) for row in rows} == {2}
    assert [cell.strip() for cell in rows[0]] == ["", "cnn"]


def test_plot_is_a_drawing_of_its_own(folder: Path) -> None:
    drawing = minidom.parse(str(folder / "plot.svg")).documentElement  # noqa: S318 - our own
    assert drawing.getAttribute("xmlns") == "http://www.w3.org/2000/svg"
    assert len(drawing.getElementsByTagName("polyline")) == 2
    assert len(drawing.getElementsByTagName("style")) == 1


def test_every_round_is_kept(folder: Path) -> None:
    (one,) = json.loads((folder / "report" / "service.json").read_bytes())
    assert one["model"] == "cnn"
    assert {len(each["rounds"]) for each in one["closed"]} == {1}
    assert one["memory"]["requests"] >= 20
    assert min(one["memory"]["before"]) > 10
    assert one["ready"] > 0


def test_models_alone_are_kept_for_load_tests(folder: Path) -> None:
    assert json.loads((folder / "report" / "bench.json").read_bytes())["rows"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--model", "none"), "holds no bundle of 'none'"),
        (("--rounds", "0"), "'0' is not allowed: give a whole number from 1 on"),
        (("--into", "Makefile"), "bench: Makefile: put the lines <!-- begin: python -m bench -->"),
        (("--report", "Makefile"), "bench: --report 'Makefile': File exists"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_measured(arguments: tuple[str, str], says: str) -> None:
    done = bench(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
