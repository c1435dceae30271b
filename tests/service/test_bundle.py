import json
from pathlib import Path

import numpy as np
import pytest

from service.bundle import (
    EngineName,
    Gate,
    Golden,
    InputSpec,
    Manifest,
    Provenance,
    Variant,
    decode_golden,
    encode_golden,
    read_bundle,
    sha256,
    write_bundle,
)
from service.errors import BundleError

PROBABILITIES = np.array([[0.25, 0.75], [1, 0]], np.float32)
GOLDEN = encode_golden(Golden((b"one", b"two"), {"fp32": PROBABILITIES}))
FILES = {"model.onnx": b"graph", "golden.npz": GOLDEN}


def make_manifest() -> Manifest:
    variant = Variant(
        file="model.onnx",
        size_bytes=5,
        accuracy=0.9,
        test_count=10,
        held_out_count=5,
        ece=0.01,
        temperature=1.5,
        prediction_set_alpha=0.05,
        prediction_set_quantile=0.8,
        coverage=0.95,
        mean_set_size=1.2,
        low_confidence_threshold=0.4,
    )
    return Manifest(
        name="net",
        version="3",
        architecture="cnn",
        parameters=7,
        class_names=("a", "b"),
        input=InputSpec(height=8, width=8),
        files={name: sha256(content) for name, content in FILES.items()},
        variants={"fp32": variant},
        gates=(Gate(variant="fp32", gate="parity", figure=1e-6, limit="at most 0.0001"),),
        weights_sha256="0",
        license="none",
        provenance=Provenance(
            dataset="d",
            dataset_sha256="0",
            split_seed=0,
            recipe={},
            seed=0,
            git_commit="c",
            versions={},
        ),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "net" / "3"
    write_bundle(make_manifest(), FILES, target)
    return target


def test_accuracy_of_an_engine_that_was_not_measured_is_that_of_onnx_runtimes_kernels() -> None:
    variant = make_manifest().variants["fp32"].model_copy(update={"engines": {"openvino": 0.91}})
    asked: tuple[EngineName, ...] = ("onnxruntime", "amx", "openvino")
    assert [variant.accuracy_by(engine) for engine in asked] == [0.9, 0.9, 0.91]


def test_manifest_from_before_engines_were_measured_is_read(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["variants"]["fp32"]["engines"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert read_bundle(folder).manifest == make_manifest()


def test_written_bundle_reads_back(folder: Path) -> None:
    bundle = read_bundle(folder)
    assert bundle.manifest == make_manifest()
    assert bundle.golden.pictures == (b"one", b"two")
    assert list(bundle.golden.probabilities) == ["fp32"]
    assert np.array_equal(bundle.golden.probabilities["fp32"], PROBABILITIES)
    assert bundle.graph("fp32").read_bytes() == b"graph"


def test_writing_leaves_nothing_beside_the_bundle(folder: Path) -> None:
    assert [path.name for path in folder.parent.iterdir()] == ["3"]


def test_existing_bundle_is_not_overwritten(folder: Path) -> None:
    with pytest.raises(BundleError, match="exists"):
        write_bundle(make_manifest(), FILES, folder)


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"net/3' can't be written \(File exists\): free space .* --to"):
        write_bundle(make_manifest(), {"file": b"", "file/below": b""}, tmp_path / "new" / "net" / "3")
    assert list(tmp_path.iterdir()) == []


def test_failed_write_leaves_what_was_there(folder: Path) -> None:
    with pytest.raises(BundleError, match="can't be written"):
        write_bundle(make_manifest(), {"file": b"", "file/below": b""}, folder.with_name("4"))
    assert list(folder.parent.iterdir()) == [folder]


def test_changed_file_is_named(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"grapf")
    with pytest.raises(BundleError, match=r"model\.onnx is not the file its manifest names"):
        read_bundle(folder)


def test_missing_file_is_named(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"No such file.*model\.onnx"):
        read_bundle(folder)


def test_unknown_manifest_field_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "colour": "blue"}))
    with pytest.raises(BundleError, match="colour"):
        read_bundle(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"files": {}}, "files has no SHA-256 of"),
        ({"class_names": ["a", "a"]}, "class_names: Value error, a class is named twice"),
        ({"class_names": ["a"]}, "class_names: Tuple should have at least 2 items"),
    ],
)
def test_manifest_that_does_not_hold_together_is_refused(
    change: dict[str, object], says: str, folder: Path
) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(BundleError, match=says):
        read_bundle(folder)


def test_other_schema_version_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "schema_version": 1}))
    with pytest.raises(BundleError, match="schema_version"):
        read_bundle(folder)


def test_moved_bundle_is_refused(folder: Path) -> None:
    moved = folder.rename(folder.with_name("4"))
    with pytest.raises(BundleError, match="says that it is net/3"):
        read_bundle(moved)


def test_golden_encoding_is_reproducible() -> None:
    golden = Golden((b"x",), {"int8": np.ones((1, 2), np.float32)})
    assert encode_golden(golden) == encode_golden(golden)


@pytest.mark.parametrize("content", [b"not a zip", b"PK\x03\x04 but no zip", b""])
def test_broken_golden_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "golden.npz"
    path.write_bytes(content)
    with pytest.raises(BundleError, match="holds no golden pictures"):
        decode_golden(path)


def test_golden_without_a_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "golden.npz"
    path.write_bytes(encode_golden(Golden((), {"fp32": PROBABILITIES[:0]})))
    with pytest.raises(BundleError, match="holds no golden pictures: none is in it; export again"):
        decode_golden(path)
