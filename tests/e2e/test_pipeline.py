"""A labelled folder of made pictures, by the documented commands, to an answer of the real service."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from loadtest.server import running_service
from tests.support import ROOT, Shapes, service_command
from train.checkpoint import FILE_NAME


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs and bundles of these tests go."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def trained(work: Path, shapes: Path) -> Path:
    command(work, "train", "cnn", "--data", str(shapes), "--to", "runs/shapes")
    return work / "runs" / "shapes"


@pytest.fixture(scope="module")
def bundle(work: Path, trained: Path) -> Path:
    command(work, "export", str(trained))
    return work / "artifacts" / "shapes" / "1"


def test_folder_becomes_a_service_that_knows_its_classes(bundle: Path, shapes: Path) -> None:
    settings = {"GLIMPSE_ARTIFACTS": str(bundle.parent.parent)}
    pictures = sorted((shapes / "test").glob("*/*"))
    with (
        running_service(service_command(), settings) as service,
        httpx.Client(base_url=service.url) as client,
    ):
        assert client.get("/classes").json()["classes"] == list(Shapes.CLASS_NAMES)
        answers = [client.post("/classify", content=path.read_bytes()).json() for path in pictures]
    right = sum(
        answer["prediction"]["class"] == path.parent.name
        for answer, path in zip(answers, pictures, strict=True)
    )
    assert right >= 0.7 * len(pictures)


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
