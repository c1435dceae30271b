"""The committed models' accuracy, measured again from encoded files: in process, and through the service."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from export.gates import Limits
from service.bundle import Bundle, Variant, VariantName, read_bundle
from service.classifier import Classifier
from service.imaging import DEFAULT_LIMITS
from tests.support import newest

TOLERANCE = 0.001  # a tenth of a point: other CPUs round differently


@pytest.fixture(scope="module")
def test_files(cifar10: Path) -> list[Path]:
    return sorted((cifar10 / "test").glob("*/*.png"))


@pytest.fixture(params=["resnet", "cnn"])
def bundle(request: pytest.FixtureRequest, artifacts: Path) -> Bundle:
    return read_bundle(newest(artifacts / request.param))


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_bundle_is_as_accurate_as_its_manifest_says(
    bundle: Bundle, variant: VariantName, test_files: list[Path]
) -> None:
    classifier = Classifier(bundle, variant)

    def correct(paths: list[Path]) -> int:
        images = np.stack([classifier.decode(path.read_bytes(), DEFAULT_LIMITS) for path in paths])
        predicted = classifier.predict(images).argmax(axis=1)
        return sum(
            classifier.class_names[i] == path.parent.name for i, path in zip(predicted, paths, strict=True)
        )

    assert len(test_files) == classifier.variant.test_count
    with ThreadPoolExecutor() as pool:
        accuracy = sum(pool.map(correct, chunks(test_files))) / len(test_files)
    assert accuracy == pytest.approx(classifier.variant.accuracy, abs=TOLERANCE)


def test_service_is_as_accurate_as_the_manifest_says(
    bundle: Bundle, test_files: list[Path], client: httpx.Client
) -> None:
    (served,) = [one for one in client.get("/models").json()["models"] if one["name"] == bundle.manifest.name]
    variant: Variant = bundle.manifest.variants[served["variant"]]
    is_measured = served["engine"] != "openvino" or "openvino" in variant.engines

    def correct(paths: list[Path]) -> int:
        files = [("files", (path.parent.name, path.read_bytes())) for path in paths]
        answer = client.post(f"/classify/batch?model={bundle.manifest.name}", files=files).json()
        return sum(result["prediction"]["class"] == result["filename"] for result in answer["results"])

    with ThreadPoolExecutor(2) as pool:
        accuracy = sum(pool.map(correct, chunks(test_files))) / len(test_files)
    tolerance = TOLERANCE if is_measured else Limits().max_accuracy_loss
    assert accuracy == pytest.approx(served["accuracy"], abs=tolerance)


def chunks(paths: list[Path], size: int = 50) -> list[list[Path]]:
    return [paths[start : start + size] for start in range(0, len(paths), size)]
