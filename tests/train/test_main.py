import subprocess
import sys
from pathlib import Path

from tests.support import ROOT


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "train", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_missing_data_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    done = run("cnn", "--data", str(tmp_path / "none"), "--to", str(tmp_path / "run"))
    assert done.returncode == 2
    assert done.stderr.startswith("train: data ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_unknown_network_names_the_valid_ones() -> None:
    done = run("vgg")
    assert done.returncode == 2
    assert "resnet" in done.stderr
    assert "cnn" in done.stderr
