"""`python -m export verify` passes what is sound, and names what is not."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from export import gates
from export.__main__ import main
from export.gates import GateError
from export.verify import verify_bundle
from service.bundle import decode_golden, encode_golden, sha256
from service.errors import BundleError
from tests.e2e.bundle.commands import export
from train.checkpoint import FILE_NAME, load_checkpoint, save_checkpoint


def test_verify_passes_a_sound_bundle_and_names_a_changed_file(bundle: Path, work: Path) -> None:
    found = export(work, "verify", str(bundle)).stdout
    assert "int8: 3 golden pictures come out as exported" in found
    assert "int8: 8 gates are recorded, and each figure keeps its limit" in found
    assert "the card says what the manifest says, and has its 3 pictures" in found
    changed = shutil.copytree(bundle, work / "changed" / "shapes" / "1")
    (changed / "model.int8.onnx").write_bytes((bundle / "model.onnx").read_bytes())
    done = export(work, "verify", str(changed), check=False)
    assert done.returncode == 2
    assert "model.int8.onnx is not the file its manifest names" in done.stderr


def test_verify_takes_the_folder_it_stands_in(bundle: Path) -> None:
    assert "golden pictures come out" in export(bundle, "verify", ".").stdout


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


def lose_ten_points(engine: str) -> Callable[[dict[str, Any]], None]:
    def falsify(manifest: dict[str, Any]) -> None:
        int8 = manifest["variants"]["int8"]
        int8["engines"] = {engine: int8["accuracy"] - 0.1}

    return falsify


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
        (lose_ten_points("openvino"), r"int8 by openvino the figure 0\.1\d* for gate 'accuracy loss'"),
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
    assert main(["verify", str(bundle)]) == 1
    assert capsys.readouterr().err == "export: gate 'structure' failed for fp32: broken\n"


def test_verify_notices_other_weights(bundle: Path, work: Path) -> None:
    changed = shutil.copytree(bundle, work / "weights" / "shapes" / "1")
    checkpoint = load_checkpoint(changed / FILE_NAME)
    next(iter(checkpoint.weights.values()))[0] += 1
    save_checkpoint(checkpoint, changed / FILE_NAME)
    done = export(work, "verify", str(changed), check=False)
    assert done.returncode == 2
    assert "holds other weights than its manifest names" in done.stderr
