"""Runs that are cut off and go on: real processes, killed for real."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.support import ROOT, Shapes
from train.checkpoint import FILE_NAME, load_checkpoint, weights_sha256
from train.folder import (
    CLASSES,
    CONFIG,
    CONFUSION,
    CURVES,
    DATA,
    METRICS,
    MISTAKES,
    STATE,
    TENSORBOARD,
)

TINY = "tests.support:tiny_network"  # learns the shapes in seconds


def start(*arguments: str | Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "train", TINY, "--recipe", "quick", "--size", "16", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(*arguments: str | Path) -> tuple[int, str]:
    process = start(*arguments)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def wait_for_state(process: "subprocess.Popen[str]", folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not (folder / STATE).exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def uninterrupted(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    status, errors = finish("--data", shapes, "--to", folder)
    assert status == 0, errors
    return folder


@pytest.fixture(scope="module")
def taught(uninterrupted: Path, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run whose teacher is the uninterrupted one."""
    folder = tmp_path_factory.mktemp("runs") / "taught"
    status, errors = finish("--data", shapes, "--to", folder, "--teacher", uninterrupted)
    assert status == 0, errors
    return folder


@pytest.fixture(scope="module")
def cut_off(uninterrupted: Path, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, killed when its first state was on disk."""
    folder = tmp_path_factory.mktemp("runs") / "cut-off"
    process = start("--data", shapes, "--to", folder, "--teacher", uninterrupted)
    wait_for_state(process, folder)
    process.kill()
    process.communicate()
    return folder


def metrics(folder: Path) -> list[dict[str, float]]:
    lines = (folder / METRICS).read_text().splitlines()
    timed = {"seconds", "images_per_second"}
    return [{name: value for name, value in json.loads(line).items() if name not in timed} for line in lines]


def test_finished_run_keeps_what_a_person_wants_to_see(uninterrupted: Path) -> None:
    files = {FILE_NAME, CONFIG, DATA, METRICS, CURVES, CLASSES, CONFUSION, MISTAKES}
    assert {path.name for path in uninterrupted.iterdir()} == files
    epochs = [line["epoch"] for line in metrics(uninterrupted)]
    assert epochs == list(range(1, len(epochs) + 1))
    for name in (CURVES, CONFUSION, MISTAKES):
        with Image.open(uninterrupted / name) as picture:
            picture.load()
            assert min(picture.size) > 100


def test_run_says_what_it_ran_with(uninterrupted: Path) -> None:
    config = json.loads((uninterrupted / CONFIG).read_text())
    assert (config["network"], config["recipe"]["name"], config["seed"]) == (TINY, "quick", 0)
    data = json.loads((uninterrupted / DATA).read_text())
    assert data["counts"] == {name: [22, 2, 8] for name in Shapes.CLASS_NAMES}


def test_class_table_has_every_class(uninterrupted: Path) -> None:
    lines = (uninterrupted / CLASSES).read_text().splitlines()
    assert lines[0] == "class,precision,recall,f1,pictures"
    assert sorted(line.split(",")[0] for line in lines[1:]) == sorted(Shapes.CLASS_NAMES)
    assert all(line.endswith(",8") for line in lines[1:])


def test_killed_run_goes_on_to_the_very_weights_of_an_uninterrupted_one(
    uninterrupted: Path, shapes: Path, tmp_path: Path
) -> None:
    arguments = ("--data", shapes, "--to", tmp_path / "run")
    process = start(*arguments)
    wait_for_state(process, tmp_path / "run")
    time.sleep(0.3)  # some epochs further than what is saved
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
    wait_for_state(process, tmp_path)
    process.kill()
    process.communicate()
    before = (tmp_path / CONFIG).read_bytes()
    status, errors = finish("--data", shapes, "--to", tmp_path, "--resume", "--seed", "1")
    assert status == 2
    assert "was started with seed 0, and this is 1" in errors
    assert (tmp_path / CONFIG).read_bytes() == before


def test_run_says_who_taught_it(taught: Path, uninterrupted: Path) -> None:
    weights = load_checkpoint(uninterrupted / FILE_NAME).weights
    assert json.loads((taught / CONFIG).read_text())["recipe"]["teachers"] == [weights_sha256(weights)]
    assert metrics(taught)[0]["loss"] != metrics(uninterrupted)[0]["loss"]


def test_taught_run_that_was_killed_goes_on_to_the_very_same_weights(
    taught: Path, cut_off: Path, uninterrupted: Path, shapes: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(cut_off, tmp_path / "run")
    assert len(metrics(folder)) < len(metrics(taught))
    status, errors = finish("--data", shapes, "--to", folder, "--resume", "--teacher", uninterrupted)
    assert status == 0, errors
    assert metrics(folder) == metrics(taught)
    assert (folder / FILE_NAME).read_bytes() == (taught / FILE_NAME).read_bytes()


@pytest.mark.parametrize("teachers", [0, 2])
def test_resuming_with_other_teachers_is_refused(
    cut_off: Path, uninterrupted: Path, shapes: Path, teachers: int
) -> None:
    given = ["--teacher", uninterrupted] * teachers
    status, errors = finish("--data", shapes, "--to", cut_off, "--resume", *given)
    sha256 = weights_sha256(load_checkpoint(uninterrupted / FILE_NAME).weights)[:12]
    assert status == 2
    assert "was started with other teachers, by the SHA-256 of their weights" in errors
    assert f"({sha256}, and this has {', '.join([sha256] * teachers) or 'none'})" in errors
    assert "give the same --teacher in the same order" in errors


def test_resuming_with_another_recipe_names_what_differs(
    cut_off: Path, uninterrupted: Path, shapes: Path
) -> None:
    given = ("--teacher", uninterrupted, "--balance")
    status, errors = finish("--data", shapes, "--to", cut_off, "--resume", *given)
    assert status == 2
    assert "was started with recipe.balance False, and this is True: go on with the same" in errors


def test_teacher_that_may_have_seen_the_test_is_named_before_and_after_training(
    uninterrupted: Path, shapes: Path, tmp_path: Path
) -> None:
    arguments = ["--recipe", "quick", "--size", "16", "--data", str(shapes), "--to", str(tmp_path / "run")]
    arguments += ["--teacher", str(uninterrupted), "--split-seed", "1"]
    command = [sys.executable, "-m", "train", TINY, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    warning = (
        f"teacher '{uninterrupted}' learned from other data, or from another split of it "
        "(--split-seed 0 there, 1 here): if it has seen"
    )
    lines = done.stdout.splitlines()
    said = [index for index, line in enumerate(lines) if line.startswith(warning)]
    epochs = [index for index, line in enumerate(lines) if line.startswith("epoch ")]
    assert [index < epochs[0] for index in said] == [True, False]
    assert f"taught by {TINY} in {uninterrupted}, held-out accuracy 100.00%" in lines


def test_strict_allows_no_teacher_that_may_have_seen_the_test(
    uninterrupted: Path, shapes: Path, tmp_path: Path
) -> None:
    given = ("--teacher", uninterrupted, "--split-seed", "1", "--strict")
    status, errors = finish("--data", shapes, "--to", tmp_path / "run", *given)
    assert status == 2
    assert errors.startswith(f"train: teacher '{uninterrupted}' learned from other data")
    assert "--strict allows no such teacher" in errors
    assert not (tmp_path / "run").exists()


def test_full_disk_keeps_the_last_good_checkpoint(uninterrupted: Path, shapes: Path, tmp_path: Path) -> None:
    """A limit on the size of a file stands in for a full disk: both fail the write of the larger file.

    The checkpoint has room; the state, three times as large, has not.
    """
    room = (uninterrupted / FILE_NAME).stat().st_size * 3 // 2
    arguments = ["--data", str(shapes), "--to", str(tmp_path / "run")]
    limited = f'ulimit -f {room // 1024}; exec {sys.executable} -m train {TINY} --size 16 "$@"'
    done = subprocess.run(
        ["/bin/bash", "-c", limited, "bash", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "File too large" in done.stderr
    assert load_checkpoint(tmp_path / "run" / FILE_NAME).facts.class_names == Shapes.CLASS_NAMES
    assert not list((tmp_path / "run").glob("*.partial"))


def test_tensorboard_gets_every_epoch_on_request(shapes: Path, tmp_path: Path) -> None:
    status, errors = finish("--data", shapes, "--to", tmp_path, "--tensorboard")
    assert status == 0, errors
    events = EventAccumulator(str(tmp_path / TENSORBOARD))
    events.Reload()
    logged = [event.step for event in events.Scalars("held_out_accuracy")]
    assert logged == [line["epoch"] for line in metrics(tmp_path)]


def test_two_processes_train_one_network_as_well_as_one(
    uninterrupted: Path, shapes: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [
        "-m",
        "train",
        TINY,
        "--recipe",
        "quick",
        "--size",
        "16",
        "--data",
        str(shapes),
        "--to",
        str(tmp_path),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 process(es)" in done.stdout
    together, alone = metrics(tmp_path), metrics(uninterrupted)
    assert len(together) == len(alone)
    # Batches are the same; batch norm over halves of them and dropout are not.
    assert together[0]["loss"] == pytest.approx(alone[0]["loss"], rel=0.05)
    best = [max(line["held_out_accuracy"] for line in run) for run in (together, alone)]
    assert best[0] == pytest.approx(best[1], abs=0.2)
