"""A labelled folder of made pictures, by the documented commands, to an answer of the real service."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from loadtest.server import running_service
from tests.support import ROOT, Shapes, encode, service_command
from train.checkpoint import FILE_NAME


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs and bundles of these tests go."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def trained(work: Path, shapes: Path) -> Path:
    network = "tests.support:tiny_network"
    command(work, "train", network, "--size", "16", "--data", str(shapes), "--to", "runs/shapes")
    return work / "runs" / "shapes"


@pytest.fixture(scope="module")
def bundle(work: Path, trained: Path) -> Path:
    command(work, "export", str(trained))
    return work / "artifacts" / "shapes" / "1"


def test_odd_folder_becomes_a_service_that_knows_its_classes(work: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my pictures"
    called = Shapes(seed=1).write_odd(folder)
    done = command(work, "train", "cnn", "--recipe", "quick", "--data", str(folder), "--to", "runs/odd")
    assert "2 unreadable files are left out" in done.stdout
    assert "Thumbs.db" in done.stdout
    command(work, "export", "runs/odd")

    unseen = Shapes(seed=2)
    with (
        running_service(service_command(), {"GLIMPSE_ARTIFACTS": str(work / "artifacts")}) as service,
        httpx.Client(base_url=service.url, params={"model": "odd"}) as client,
    ):
        assert client.get("/classes").json()["classes"] == sorted(called.values())
        sent = Shapes.CLASS_NAMES * 10
        answers = [client.post("/classify", content=encode(unseen.draw(name))).json() for name in sent]
    right = [
        answer["prediction"]["class"] == called[name] for answer, name in zip(answers, sent, strict=True)
    ]
    assert sum(right) >= 0.9 * len(right)


def test_exporting_again_takes_the_next_version_and_gives_the_same_graph(
    bundle: Path, trained: Path, work: Path
) -> None:
    command(work, "export", str(trained))
    second = bundle.with_name("2")
    for name in ("model.onnx", "golden.npz"):
        assert (second / name).read_bytes() == (bundle / name).read_bytes()
    shutil.rmtree(second)


def test_bundle_names_neither_paths_nor_times(bundle: Path, shapes: Path, work: Path) -> None:
    text = (bundle / "manifest.json").read_text()
    assert str(work) not in text
    assert str(shapes.parent) not in text
    assert '"dataset": "shapes"' in text


def test_existing_bundle_is_refused_with_status_2(bundle: Path, trained: Path, work: Path) -> None:
    done = command(work, "export", str(trained), "--to", str(bundle), check=False)
    assert done.returncode == 2
    assert "exists: bundles are never overwritten" in done.stderr


def test_checkpoint_of_other_classes_is_refused_with_status_2(
    trained: Path, shapes: Path, work: Path
) -> None:
    other = work / "other"
    for split in ("train", "test"):
        shutil.copytree(shapes / split, other / split)
        (other / split / "red bar").rename(other / split / "pink bar")
    done = command(work, "export", str(trained), "--data", str(other), check=False)
    assert done.returncode == 2
    assert "give --data the folder that it was trained on" in done.stderr


def test_data_that_changed_since_training_is_refused_with_status_2(
    trained: Path, shapes: Path, work: Path
) -> None:
    grown = shutil.copytree(shapes, work / "grown")
    shutil.copy(grown / "test" / "red bar" / "red bar 0.png", grown / "train" / "red bar" / "new.png")
    done = command(work, "export", str(trained), "--data", str(grown), check=False)
    assert done.returncode == 2
    assert "holds other pictures than the network was trained on" in done.stderr


def test_trained_network_is_not_overwritten(trained: Path, shapes: Path, work: Path) -> None:
    before = (trained / FILE_NAME).read_bytes()
    done = command(work, "train", "cnn", "--data", str(shapes), "--to", str(trained), check=False)
    assert done.returncode == 2
    assert "holds a trained network: name another folder with --to" in done.stderr
    assert (trained / FILE_NAME).read_bytes() == before


def test_truncated_checkpoint_is_refused_with_status_2(trained: Path, work: Path) -> None:
    broken = work / "runs" / "broken"
    broken.mkdir()
    (broken / FILE_NAME).write_bytes((trained / FILE_NAME).read_bytes()[:1000])
    done = command(work, "export", str(broken), check=False)
    assert done.returncode == 2
    assert "not a checkpoint of Glimpse, or broken" in done.stderr
    assert not (work / "artifacts" / "broken").exists()


def command(
    folder: Path, module: str, *arguments: str, check: bool = True
) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done
