"""What export does not take: one sentence, a status, and nothing written."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.bundle.commands import command, export
from train.checkpoint import FILE_NAME, load_checkpoint, save_checkpoint
from train.folder import STATE

BRANCHING = """
from torch import nn
from tests.support import tiny_network

class Branching(nn.Sequential):
    def forward(self, images):
        logits = super().forward(images)
        return -logits if logits.sum() > 0 else logits

def build(num_classes):
    return Branching(*tiny_network(num_classes))
"""


@pytest.mark.parametrize("target", ["one", "shapes/final"])
def test_target_that_is_no_model_and_version_is_refused(target: str, trained: Path, work: Path) -> None:
    done = export(work, str(trained), "--to", target, check=False)
    assert done.returncode == 2
    assert "is no MODEL/VERSION with a number as version" in done.stderr


def test_existing_bundle_is_refused_with_status_2(bundle: Path, trained: Path, work: Path) -> None:
    done = export(work, str(trained), "--to", str(bundle), check=False)
    assert done.returncode == 2
    assert "exists: bundles are never overwritten" in done.stderr


def test_unfinished_run_is_exported_only_when_asked(trained: Path, work: Path) -> None:
    unfinished = shutil.copytree(trained, work / "runs" / "unfinished")
    (unfinished / STATE).touch()
    done = export(work, str(unfinished), check=False)
    assert done.returncode == 2
    assert "go on with it by train --resume, or export the best that it has by --unfinished" in done.stderr
    export(work, str(unfinished), "--unfinished", "--float-only")


def test_failed_gate_names_figure_and_limit_and_writes_nothing(trained: Path, work: Path) -> None:
    options = ("--to", "failed/shapes/1", "--parity-atol", "0", "--parity-rtol", "0")
    done = export(work, str(trained), *options, check=False)
    assert done.returncode == 1
    assert re.search(
        r"gate '[a-z ]+(PyTorch|batch)' failed for fp32: \S+, and must be at most 0", done.stderr
    )
    assert not list((work / "failed").rglob("*"))


def test_explicit_limit_holds_as_given_however_few_the_pictures(trained: Path, work: Path) -> None:
    done = export(work, str(trained), "--to", "strict/shapes/1", "--max-ece", "0", check=False)
    assert done.returncode == 1
    assert re.search(
        r"gate 'expected calibration error' failed for fp32: \S+, and must be at most 0;", done.stderr
    )
    assert not (work / "strict").exists()


def test_weights_that_are_no_numbers_are_refused_with_status_2(trained: Path, work: Path) -> None:
    checkpoint = load_checkpoint(trained / FILE_NAME)
    next(iter(checkpoint.weights.values()))[0] = float("nan")
    save_checkpoint(checkpoint, work / "runs" / "nan" / FILE_NAME)
    done = export(work, "runs/nan", check=False)
    assert done.returncode == 2
    assert "holds weights that are not finite" in done.stderr


def test_weights_of_another_network_are_refused_with_status_2(trained: Path, work: Path) -> None:
    checkpoint = load_checkpoint(trained / FILE_NAME)
    other = dataclasses.replace(checkpoint, facts=dataclasses.replace(checkpoint.facts, network="resnet"))
    save_checkpoint(other, work / "runs" / "mixed" / FILE_NAME)
    done = export(work, "runs/mixed", check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"export: the weights do not fit network 'resnet' with 3 classes: .*\n", done.stderr)


def test_checkpoint_of_other_classes_is_refused_with_status_2(
    trained: Path, shapes: Path, work: Path
) -> None:
    other = work / "other"
    for split in ("train", "test"):
        shutil.copytree(shapes / split, other / split)
        (other / split / "red bar").rename(other / split / "pink bar")
    done = export(work, str(trained), "--data", str(other), check=False)
    assert done.returncode == 2
    assert "give --data the folder that it was trained on" in done.stderr


def test_data_that_changed_since_training_is_refused_until_accepted(
    trained: Path, shapes: Path, work: Path
) -> None:
    grown = shutil.copytree(shapes, work / "grown")
    shutil.copy(grown / "test" / "red bar" / "red bar 0.png", grown / "train" / "red bar" / "new.png")
    done = export(work, str(trained), "--data", str(grown), check=False)
    assert done.returncode == 2
    assert "holds other pictures than the network was trained on" in done.stderr
    options = ("--data", str(grown), "--to", "grown-bundle/shapes/1", "--other-data")
    export(work, str(trained), *options)
    origin = json.loads((work / "grown-bundle" / "shapes" / "1" / "manifest.json").read_text())["provenance"]
    assert origin["measured_sha256"] not in (None, origin["dataset_sha256"])


def test_network_that_hangs_on_values_is_refused_with_status_2(
    trained: Path, shapes: Path, work: Path
) -> None:
    (work / "branching.py").write_text(BRANCHING)
    checkpoint = load_checkpoint(trained / FILE_NAME)
    facts = dataclasses.replace(checkpoint.facts, network="branching:build")
    save_checkpoint(dataclasses.replace(checkpoint, facts=facts), work / "runs" / "branching" / FILE_NAME)
    done = command(work, "export", "runs/branching", "--data", str(shapes), check=False)
    assert done.returncode == 2
    assert re.fullmatch(
        r"export: the network can't be traced into an ONNX graph \(.*data-dependent.*\): .*\n", done.stderr
    )


def test_truncated_checkpoint_is_refused_with_status_2(trained: Path, work: Path) -> None:
    broken = work / "runs" / "broken"
    broken.mkdir()
    (broken / FILE_NAME).write_bytes((trained / FILE_NAME).read_bytes()[:1000])
    done = export(work, str(broken), check=False)
    assert done.returncode == 2
    assert "not a checkpoint of Glimpse, or broken" in done.stderr
    assert not (work / "artifacts" / "broken").exists()
