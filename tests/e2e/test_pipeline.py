"""A labelled folder of made pictures, by the documented commands, to an answer of the real service."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from loadtest.server import running_service
from tests.support import ROOT, Shapes, encode, service_command
from train.checkpoint import FILE_NAME, load_checkpoint, save_checkpoint
from train.folder import STATE


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
    for name in ("model.onnx", "model.int8.onnx", "golden.npz", FILE_NAME):
        assert (second / name).read_bytes() == (bundle / name).read_bytes()
    manifests = [(folder / "manifest.json").read_text() for folder in (bundle, second)]
    assert manifests[1] == manifests[0].replace('"version": "1"', '"version": "2"')
    shutil.rmtree(second)


def test_bundles_own_weights_give_the_bundle_again_on_any_number_of_cores(
    bundle: Path, shapes: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    command(work, "export", str(bundle), "--data", str(shapes), "--to", "rebuilt/shapes/1")
    rebuilt = work / "rebuilt" / "shapes" / "1"
    for name in ("model.onnx", "model.int8.onnx", "golden.npz", "manifest.json"):
        assert (rebuilt / name).read_bytes() == (bundle / name).read_bytes()


def test_card_has_its_figures_and_pictures(bundle: Path) -> None:
    card = (bundle / "card" / "README.md").read_text()
    linked = re.findall(r"!\[[^]]*\]\(([^)]+)\)", card)
    assert linked == ["reliability.png", "confusion.png", "mistakes.png"]
    for name in linked:
        with Image.open(bundle / "card" / name) as picture:
            picture.load()
    variants = json.loads((bundle / "manifest.json").read_text())["variants"]
    for variant in ("fp32", "int8"):
        assert f"{variants[variant]['accuracy']:.2%}" in card
    for class_name in Shapes.CLASS_NAMES:
        assert f"| `{class_name}` |" in card


def test_show_prints_a_bundle_as_a_table(bundle: Path, work: Path) -> None:
    shown = command(work, "export", "show", str(bundle)).stdout
    assert re.search(r"^test accuracy +\d+\.\d+% +\d+\.\d+%$", shown, re.MULTILINE)
    assert "shapes/1" in shown


def test_verify_passes_a_sound_bundle_and_names_a_changed_file(bundle: Path, work: Path) -> None:
    found = command(work, "export", "verify", str(bundle)).stdout
    assert "int8: 3 golden pictures come out as exported" in found
    changed = shutil.copytree(bundle, work / "changed" / "shapes" / "1")
    (changed / "model.int8.onnx").write_bytes((bundle / "model.onnx").read_bytes())
    done = command(work, "export", "verify", str(changed), check=False)
    assert done.returncode == 2
    assert "model.int8.onnx is not the file its manifest names" in done.stderr


def test_verify_notices_other_weights(bundle: Path, work: Path) -> None:
    changed = shutil.copytree(bundle, work / "weights" / "shapes" / "1")
    checkpoint = load_checkpoint(changed / FILE_NAME)
    next(iter(checkpoint.weights.values()))[0] += 1
    save_checkpoint(checkpoint, changed / FILE_NAME)
    done = command(work, "export", "verify", str(changed), check=False)
    assert done.returncode == 2
    assert "holds other weights than its manifest names" in done.stderr


@pytest.mark.parametrize("target", ["one", "shapes/final"])
def test_target_that_is_no_model_and_version_is_refused(target: str, trained: Path, work: Path) -> None:
    done = command(work, "export", str(trained), "--to", target, check=False)
    assert done.returncode == 2
    assert "is no MODEL/VERSION with a number as version" in done.stderr


def test_unfinished_run_is_exported_only_when_asked(trained: Path, work: Path) -> None:
    unfinished = shutil.copytree(trained, work / "runs" / "unfinished")
    (unfinished / STATE).touch()
    done = command(work, "export", str(unfinished), check=False)
    assert done.returncode == 2
    assert "go on with it by train --resume, or export the best that it has by --unfinished" in done.stderr
    command(work, "export", str(unfinished), "--unfinished", "--float-only")


def test_unfamiliar_pictures_are_counted(trained: Path, work: Path, tmp_path: Path) -> None:
    for index in range(8):
        noise = np.random.default_rng(index).integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{index}.png")
    command(work, "export", str(trained), "--to", "noise/shapes/1", "--unfamiliar", str(tmp_path))
    manifest = json.loads((work / "noise" / "shapes" / "1" / "manifest.json").read_text())
    assert manifest["unfamiliar"] == tmp_path.name
    assert 0 <= manifest["variants"]["int8"]["unfamiliar_caught"] <= 1


def test_failed_gate_names_figure_and_limit_and_writes_nothing(trained: Path, work: Path) -> None:
    options = ("--to", "failed/shapes/1", "--parity-atol", "0", "--parity-rtol", "0")
    done = command(work, "export", str(trained), *options, check=False)
    assert done.returncode == 1
    assert re.search(
        r"gate '[a-z ]+(PyTorch|batch)' failed for fp32: \S+, and must be at most 0", done.stderr
    )
    assert not list((work / "failed").rglob("*"))


def test_explicit_limit_holds_as_given_however_few_the_pictures(trained: Path, work: Path) -> None:
    done = command(work, "export", str(trained), "--to", "strict/shapes/1", "--max-ece", "0", check=False)
    assert done.returncode == 1
    assert re.search(
        r"gate 'expected calibration error' failed for fp32: \S+, and must be at most 0;", done.stderr
    )
    assert not (work / "strict").exists()


def test_allowance_for_few_pictures_is_written_down(bundle: Path, work: Path) -> None:
    gates = json.loads((bundle / "manifest.json").read_text())["gates"]
    limits = {gate["gate"]: gate["limit"] for gate in gates if gate["variant"] == "int8"}
    assert limits["expected calibration error"] == "at most 0.015 + 0.3163 for 24 pictures"
    assert limits["agreement with fp32"] == "at least 0.985 - 0.0267 for 24 pictures"
    helped = " ".join(command(work, "export", "--help").stdout.split())
    assert "Few pictures may miss a default by chance alone: there it is loosened" in helped


def test_weights_that_are_no_numbers_are_refused_with_status_2(trained: Path, work: Path) -> None:
    checkpoint = load_checkpoint(trained / FILE_NAME)
    next(iter(checkpoint.weights.values()))[0] = float("nan")
    save_checkpoint(checkpoint, work / "runs" / "nan" / FILE_NAME)
    done = command(work, "export", "runs/nan", check=False)
    assert done.returncode == 2
    assert "holds weights that are not finite" in done.stderr


def test_weights_of_another_network_are_refused_with_status_2(trained: Path, work: Path) -> None:
    checkpoint = load_checkpoint(trained / FILE_NAME)
    other = dataclasses.replace(checkpoint, facts=dataclasses.replace(checkpoint.facts, network="resnet"))
    save_checkpoint(other, work / "runs" / "mixed" / FILE_NAME)
    done = command(work, "export", "runs/mixed", check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"export: the weights do not fit network 'resnet' with 3 classes: .*\n", done.stderr)


def test_full_disk_leaves_no_half_bundle(trained: Path, work: Path) -> None:
    """A limit on the size of a file stands in for a full disk: the card's pictures are over it."""
    script = f'ulimit -f 32; exec {sys.executable} -m export "$@"'
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", str(trained), "--to", "full/shapes/1"],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.endswith("File too large\n")
    assert not list((work / "full" / "shapes").iterdir())


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


def test_data_that_changed_since_training_is_refused_until_accepted(
    trained: Path, shapes: Path, work: Path
) -> None:
    grown = shutil.copytree(shapes, work / "grown")
    shutil.copy(grown / "test" / "red bar" / "red bar 0.png", grown / "train" / "red bar" / "new.png")
    done = command(work, "export", str(trained), "--data", str(grown), check=False)
    assert done.returncode == 2
    assert "holds other pictures than the network was trained on" in done.stderr
    options = ("--data", str(grown), "--to", "grown-bundle/shapes/1", "--other-data")
    command(work, "export", str(trained), *options)
    origin = json.loads((work / "grown-bundle" / "shapes" / "1" / "manifest.json").read_text())["provenance"]
    assert origin["measured_sha256"] not in (None, origin["dataset_sha256"])


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
