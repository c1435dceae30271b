"""A labelled folder of made pictures, by the documented commands, to an answer of the real service."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest
from PIL import Image

from export import __main__ as export
from export import gates
from export.gates import GateError
from export.verify import verify_bundle
from loadtest.server import running_service
from service.bundle import decode_golden, encode_golden, read_bundle, sha256
from service.errors import BundleError
from service.imaging import decode
from tests.support import ROOT, Shapes, encode, newest, service_command
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
        share = re.search(rf"([\d.]+)% \({variant}\).* of the held-out pictures reach", card)
        assert share
        assert float(share[1]) >= 95
    for class_name in Shapes.CLASS_NAMES:
        assert f"| `{class_name}` |" in card


def test_show_prints_a_bundle_as_a_table(bundle: Path, work: Path) -> None:
    shown = command(work, "export", "show", str(bundle)).stdout
    assert re.search(r"^test accuracy +\d+\.\d+% +\d+\.\d+%$", shown, re.MULTILINE)
    assert "shapes/1" in shown


def test_show_prints_every_gate_with_figure_and_limit(bundle: Path, work: Path) -> None:
    shown = command(work, "export", "show", str(bundle)).stdout
    limit = r"0\.\d+, at most 0\.015 \+ 0\.3163 for 24 pictures"
    assert re.search(rf"^gate: expected calibration error +{limit} +{limit}$", shown, re.MULTILINE)
    assert re.search(r"^gate: agreement with fp32 +- +\S+, at least 0\.985 ", shown, re.MULTILINE)


def test_show_ends_quietly_when_nobody_reads(bundle: Path, work: Path) -> None:
    script = f'set -o pipefail; {sys.executable} -m export show "$1" | true'
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", str(bundle)],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_verify_passes_a_sound_bundle_and_names_a_changed_file(bundle: Path, work: Path) -> None:
    found = command(work, "export", "verify", str(bundle)).stdout
    assert "int8: 3 golden pictures come out as exported" in found
    assert "int8: 8 gates are recorded, and each figure keeps its limit" in found
    assert "the card says what the manifest says, and has its 3 pictures" in found
    changed = shutil.copytree(bundle, work / "changed" / "shapes" / "1")
    (changed / "model.int8.onnx").write_bytes((bundle / "model.onnx").read_bytes())
    done = command(work, "export", "verify", str(changed), check=False)
    assert done.returncode == 2
    assert "model.int8.onnx is not the file its manifest names" in done.stderr


def test_verify_takes_the_folder_it_stands_in(bundle: Path) -> None:
    assert "golden pictures come out" in command(bundle, "export", "verify", ".").stdout


def test_verify_passes_a_bundle_as_images_of_the_service_have_it(bundle: Path, tmp_path: Path) -> None:
    slim = shutil.copytree(bundle, tmp_path / "shapes" / "1")
    (slim / FILE_NAME).unlink()
    shutil.rmtree(slim / "card")
    assert not [finding for finding in verify_bundle(slim) if "card" in finding or "weights" in finding]


def drop_gates(manifest: dict[str, Any]) -> None:
    manifest["gates"] = []


def double_a_gate(manifest: dict[str, Any]) -> None:
    manifest["gates"].append(manifest["gates"][0])


def miss_a_limit(manifest: dict[str, Any]) -> None:
    for gate in manifest["gates"]:
        if gate["gate"] == "determinism":
            gate["figure"] = 0.5


def say_no_limit(manifest: dict[str, Any]) -> None:
    manifest["gates"][0]["limit"] = "whatever"


def forget_the_agreement(manifest: dict[str, Any]) -> None:
    manifest["variants"]["int8"]["agreement"] = 0.5


def train_on_another_seed(manifest: dict[str, Any]) -> None:
    manifest["provenance"]["seed"] = 7


def reverse_the_classes(manifest: dict[str, Any]) -> None:
    manifest["class_names"].reverse()


def of_fp32(field: str, value: float) -> Callable[[dict[str, Any]], None]:
    return lambda manifest: manifest["variants"]["fp32"].update({field: value})


@pytest.mark.parametrize(
    ("falsify", "says"),
    [
        (reverse_the_classes, r"class_names"),
        (train_on_another_seed, r"says seed 7, and the checkpoint says 0"),
        (drop_gates, r"records the gates none for fp32, not structure, .*coverage gap"),
        (double_a_gate, r"records the gates structure, .*structure for fp32"),
        (miss_a_limit, r"gate 'determinism' of fp32 passed with 0\.5, and it must be at most 0"),
        (say_no_limit, r"gate 'structure' of fp32: 'whatever' is no limit"),
        (forget_the_agreement, r"for gate 'agreement with fp32' of int8, whose fields say 0\.5"),
        (of_fp32("temperature", 9.5), r"glimpse\.temperature '9\.5', and model\.onnx says '"),
        (of_fp32("size_bytes", 5), r"says that model\.onnx has 5 bytes: it has \d+"),
        (of_fp32("accuracy", 0.123), r"for gate 'test accuracy' of fp32, whose fields say 0\.123"),
        (of_fp32("ece", 0.0123), r"for gate 'expected calibration error' of fp32, whose fields say 0\.0123"),
        (of_fp32("coverage", 0.5), r"for gate 'coverage gap' of fp32, whose fields say 0\.45"),
        (of_fp32("prediction_set_quantile", 0.123), r"is not what its card says, which lacks .*0\.8770"),
        (of_fp32("low_confidence_threshold", 0.123), r"is not what its card says, which lacks .*0\.1230"),
    ],
)  # fmt: skip
def test_verify_notices_a_falsified_manifest(
    falsify: Callable[[dict[str, Any]], None], says: str, bundle: Path, tmp_path: Path
) -> None:
    changed = shutil.copytree(bundle, tmp_path / "shapes" / "1")
    manifest = json.loads((changed / "manifest.json").read_text())
    falsify(manifest)
    (changed / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=says):
        list(verify_bundle(changed))


@pytest.mark.parametrize("name", ["README.md", "reliability.png"])
@pytest.mark.parametrize("content", [None, b"broken"])
def test_verify_notices_a_card_that_is_not_whole(
    content: bytes | None, name: str, bundle: Path, tmp_path: Path
) -> None:
    changed = shutil.copytree(bundle, tmp_path / "shapes" / "1")
    (changed / "card" / name).unlink()
    if content:
        (changed / "card" / name).write_bytes(content)
    with pytest.raises(BundleError, match=r"its manifest (has no whole card|is not what its card says)"):
        list(verify_bundle(changed))


@pytest.mark.parametrize(
    ("pictures", "says"),
    [((), "holds no golden pictures: none is in it"), ((b"no picture",) * 3, "pictures can't be classified")],
)
def test_verify_refuses_golden_pictures_that_can_not_be_read(
    pictures: tuple[bytes, ...], says: str, bundle: Path, tmp_path: Path
) -> None:
    changed = shutil.copytree(bundle, tmp_path / "shapes" / "1")
    golden = dataclasses.replace(decode_golden(changed / "golden.npz"), pictures=pictures)
    (changed / "golden.npz").write_bytes(encode_golden(golden))
    manifest = json.loads((changed / "manifest.json").read_text())
    manifest["files"]["golden.npz"] = sha256((changed / "golden.npz").read_bytes())
    (changed / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=says):
        list(verify_bundle(changed))


def test_gate_that_fails_in_verify_does_not_speak_of_writing(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise GateError("fp32", "structure", "broken")

    monkeypatch.setattr(gates, "check_structure", fail)
    assert export.main(["verify", str(bundle)]) == 1
    assert capsys.readouterr().err == "export: gate 'structure' failed for fp32: broken\n"


def test_verify_notices_other_weights(bundle: Path, work: Path) -> None:
    changed = shutil.copytree(bundle, work / "weights" / "shapes" / "1")
    checkpoint = load_checkpoint(changed / FILE_NAME)
    next(iter(checkpoint.weights.values()))[0] += 1
    save_checkpoint(checkpoint, changed / FILE_NAME)
    done = command(work, "export", "verify", str(changed), check=False)
    assert done.returncode == 2
    assert "holds other weights than its manifest names" in done.stderr


def test_bundle_is_called_by_what_its_target_comes_to(trained: Path, work: Path) -> None:
    target = "dotted/x/../shapes/3"
    command(work, "export", str(trained), "--to", target, "--float-only")
    assert read_bundle(work / "dotted" / "shapes" / "3").manifest.name == "shapes"


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
    bundle = work / "noise" / "shapes" / "1"
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["unfamiliar"] == tmp_path.name
    side = manifest["input"]["height"]
    images = np.stack([decode(path.read_bytes(), side, side) for path in sorted(tmp_path.iterdir())])
    for variant in manifest["variants"].values():
        session = onnxruntime.InferenceSession(bundle / variant["file"])
        largest = session.run(["probabilities"], {"images": images})[0].max(axis=1)
        caught = float((largest < variant["low_confidence_threshold"]).mean())
        assert variant["unfamiliar_caught"] == caught


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


def test_make_export_holds_our_networks_to_their_limits_on_cifar10(trained: Path, tmp_path: Path) -> None:
    """A stand-in for Python prints what it is started with."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "bin" / "python").chmod(0o755)
    (tmp_path / ".train").touch()
    own = shutil.copytree(trained, tmp_path / "runs" / "resnet")
    resnet, cnn = (str(newest(ROOT / "artifacts" / model).relative_to(ROOT)) for model in ("resnet", "cnn"))
    variables = [f"RUNS={resnet} {cnn} {own}", "LIMITS=--other-data", "LIMITS_cnn=--max-ece 0.02"]
    done = subprocess.run(
        ["/usr/bin/env", "make", "--silent", "export", f"DEV={tmp_path}", *variables],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        f"-m export {resnet} --max-ece 0.01 --other-data",
        f"-m export {cnn} --max-ece 0.02 --other-data",
        f"-m export {own} --other-data",
    ]


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


@pytest.mark.parametrize(
    ("kilobytes", "says"),
    [
        (
            28,
            r"bundle '.*/full/shapes/1' can't be written \(File too large\): free space .*--to",
        ),
        (20, r"the temporary folder '.+' can't take [\d,]+ bytes \(File too large\): free space .* TMPDIR"),
    ],
)
def test_full_disk_leaves_no_half_bundle(kilobytes: int, says: str, trained: Path, work: Path) -> None:
    """A limit on the size of a file stands in for a full disk: only a picture, or a graph too, is over it."""
    script = f'ulimit -f {kilobytes}; exec {sys.executable} -m export "$@"'
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", str(trained), "--to", "full/shapes/1"],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert re.fullmatch(f"export: {says}\n", done.stderr)
    assert not (work / "full").exists()


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
