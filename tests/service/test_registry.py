import json
import shutil
from pathlib import Path

import pytest

from service.errors import BundleError, UnknownModel
from service.registry import load_registry
from service.settings import SettingsError
from tests.support import newest


@pytest.fixture
def versions(artifacts: Path, tmp_path: Path) -> Path:
    """One model in versions 2 and 10."""
    for version in ("2", "10"):
        target = tmp_path / "cnn" / version
        shutil.copytree(newest(artifacts / "cnn"), target)
        manifest = json.loads((target / "manifest.json").read_text())
        (target / "manifest.json").write_text(json.dumps({**manifest, "version": version}))
    return tmp_path


def test_highest_version_is_a_number_not_a_text(versions: Path) -> None:
    assert load_registry(versions, None).get("cnn").manifest.version == "10"


def test_version_can_be_asked_for(versions: Path) -> None:
    assert load_registry(versions, None).get("cnn", "2").manifest.version == "2"


def test_most_accurate_model_is_the_default(artifacts: Path) -> None:
    registry = load_registry(artifacts, None)
    best = max(classifier.variant.accuracy for classifier in registry)
    assert registry.get().variant.accuracy == best


def test_default_can_be_set(artifacts: Path) -> None:
    assert load_registry(artifacts, "cnn").get().manifest.name == "cnn"


def test_models_of_different_classes_need_a_default(mixed: Path) -> None:
    with pytest.raises(SettingsError, match="cnn, resnet have different classes: name one in GLIMPSE_"):
        load_registry(mixed, None)
    assert load_registry(mixed, "cnn").default_model == "cnn"


def test_default_that_can_not_be_served_is_replaced_by_none(artifacts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(artifacts, tmp_path / "artifacts")
    (newest(folder / "resnet") / "model.onnx").unlink()
    registry = load_registry(folder, "resnet")
    assert registry.default is None
    with pytest.raises(UnknownModel, match="model 'resnet' is not loaded: choose one of cnn"):
        registry.get()


def test_bundle_that_can_not_be_served_is_named_and_left_out(versions: Path) -> None:
    (versions / "cnn" / "10" / "manifest.json").unlink()
    registry = load_registry(versions, None)
    assert [one.manifest.version for one in registry] == ["2"]
    (failure,) = registry.failures
    assert (failure.name, failure.version) == ("cnn", "10")
    assert "No such file" in failure.reason


def test_no_bundle_that_can_be_served_is_an_error(versions: Path) -> None:
    for version in ("2", "10"):
        (versions / "cnn" / version / "manifest.json").unlink()
    with pytest.raises(BundleError, match=r"no model can be served: .*No such file.*\(and so with 1 more\)"):
        load_registry(versions, None)


def test_default_that_failed_is_not_replaced_unasked(artifacts: Path, versions: Path) -> None:
    source = newest(artifacts / "resnet")
    shutil.copytree(source, versions / "resnet" / source.name)
    (versions / "resnet" / source.name / "model.int8.onnx").unlink()
    registry = load_registry(versions, "resnet")
    with pytest.raises(UnknownModel, match="model 'resnet' is not loaded: choose one of cnn"):
        registry.get()


def test_unknown_default_names_those_loaded(artifacts: Path) -> None:
    with pytest.raises(SettingsError, match=r"GLIMPSE_DEFAULT_MODEL=vit: .*cnn, resnet"):
        load_registry(artifacts, "vit")


def test_unknown_model_names_those_loaded(versions: Path) -> None:
    with pytest.raises(UnknownModel, match="'vit' is not loaded: choose one of cnn"):
        load_registry(versions, None).get("vit")


def test_unknown_version_names_those_loaded(versions: Path) -> None:
    with pytest.raises(UnknownModel, match="no version '3': choose one of 2, 10"):
        load_registry(versions, None).get("cnn", "3")


def test_empty_folder_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="export one, or set GLIMPSE_ARTIFACTS"):
        load_registry(tmp_path, None)
