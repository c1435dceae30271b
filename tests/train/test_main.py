import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, newest


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "train", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vgg"], "network 'vgg' does not exist: choose one of resnet, cnn, torchvision:NAME"),
        (["cnn", "--recipe", "slow"], "recipe 'slow' does not exist for cnn: choose one of full, quick"),
        (["cnn", "--size", "32"], "network 'cnn' does not take pictures of 32 x 32 pixels"),
        (["cnn", "--data", "no/such"], "data 'no/such' is no folder: name one that holds CLASS/*"),
        (["cnn", "--teacher", "no/such"], "teacher 'no/such' holds no checkpoint.safetensors: name"),
    ],
)
def test_wrong_argument_is_one_sentence_and_status_2(
    arguments: list[str], message: str, shapes: Path, tmp_path: Path
) -> None:
    done = run(*arguments[:1], "--data", str(shapes), "--to", str(tmp_path / "run"), *arguments[1:])
    assert done.returncode == 2
    assert done.stderr.startswith(f"train: {message}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "4"], "'4' is no whole number from 8 to 1024"),
        (["--size", "5000"], "'5000' is no whole number from 8 to 1024"),
        (["--learning-rate-scale", "0"], "'0' is no number from 0.01 to 100"),
        (["--learning-rate-scale", "nan"], "'nan' is no number from 0.01 to 100"),
    ],
)
def test_value_out_of_range_names_the_range(arguments: list[str], message: str) -> None:
    done = run("cnn", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize("option", ["--size", "--seed"])
@pytest.mark.parametrize("value", ["-1", "0.5", "many"])
def test_number_that_is_none_names_what_is_allowed(option: str, value: str) -> None:
    done = run("cnn", f"{option}={value}")
    assert done.returncode == 2
    assert f"'{value}' is no whole number" in done.stderr


def test_teacher_is_refused_before_any_picture_is_decoded(
    artifacts: Path, shapes: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(shapes, tmp_path / "shapes")
    (folder / "train" / "red bar" / "broken.png").write_bytes(b"no")  # named where pictures are decoded
    teacher = newest(artifacts / "cnn")
    done = run("cnn", "--data", str(folder), "--to", str(tmp_path / "run"), "--teacher", str(teacher))
    assert done.returncode == 2
    assert done.stderr == (
        f"train: teacher '{teacher}' has learned other classes than the data has, or in another order "
        "(class 1 is 'airplane' there, and 'blue ring' here): name one that learned these\n"
    )
    assert done.stdout == ""
    assert not (tmp_path / "run").exists()


def test_strict_stops_before_training(shapes: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(shapes, tmp_path / "shapes")
    (folder / "train" / "red bar" / "broken.png").write_bytes(b"no")
    done = run("cnn", "--data", str(folder), "--to", str(tmp_path / "run"), "--strict")
    assert done.returncode == 2
    assert "broken.png" in done.stdout
    assert "--strict allows none" in done.stderr
    assert not (tmp_path / "run").exists()
