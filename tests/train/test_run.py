"""Runs that are cut off and go on: real processes, killed for real."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import ROOT
from train.checkpoint import FILE_NAME
from train.run import METRICS, STATE


def start(*arguments: str | Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "train", "cnn", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(*arguments: str | Path) -> tuple[int, str]:
    process = start(*arguments)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


@pytest.fixture(scope="module")
def uninterrupted(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    status, errors = finish("--data", shapes, "--to", folder)
    assert status == 0, errors
    return folder


def metrics(folder: Path) -> list[dict[str, float]]:
    lines = (folder / METRICS).read_text().splitlines()
    timed = {"seconds", "images_per_second"}
    return [{name: value for name, value in json.loads(line).items() if name not in timed} for line in lines]


def test_finished_run_keeps_a_checkpoint_and_a_line_an_epoch(uninterrupted: Path) -> None:
    assert sorted(path.name for path in uninterrupted.iterdir()) == [FILE_NAME, METRICS]
    epochs = [line["epoch"] for line in metrics(uninterrupted)]
    assert epochs == list(range(1, len(epochs) + 1))


def test_killed_run_goes_on_to_the_very_weights_of_an_uninterrupted_one(
    uninterrupted: Path, shapes: Path, tmp_path: Path
) -> None:
    arguments = ("--data", shapes, "--to", tmp_path / "run")
    process = start(*arguments)
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / METRICS).exists() or len(metrics(tmp_path / "run")) < 7:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = len(metrics(tmp_path / "run"))
    assert done < len(metrics(uninterrupted))

    status, errors = finish(*arguments, "--resume")
    assert status == 0, errors
    assert metrics(tmp_path / "run") == metrics(uninterrupted)
    assert (tmp_path / "run" / FILE_NAME).read_bytes() == (uninterrupted / FILE_NAME).read_bytes()


def test_unfinished_run_is_not_overwritten(shapes: Path, tmp_path: Path) -> None:
    (tmp_path / STATE).touch()
    status, errors = finish("--data", shapes, "--to", tmp_path)
    assert status == 2
    assert "holds an unfinished run: go on with --resume" in errors


def test_resuming_nothing_is_refused(shapes: Path, tmp_path: Path) -> None:
    status, errors = finish("--data", shapes, "--to", tmp_path, "--resume")
    assert status == 2
    assert "holds no unfinished run" in errors


def test_resuming_with_another_seed_is_refused(shapes: Path, tmp_path: Path) -> None:
    process = start("--data", shapes, "--to", tmp_path)
    while not (tmp_path / STATE).exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    status, errors = finish("--data", shapes, "--to", tmp_path, "--resume", "--seed", "1")
    assert status == 2
    assert "was started with seed 0, and this is 1" in errors
