"""A phone's 12 megapixels, decoded at a reduced scale, mean the same to the models as all of them."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.bundle import read_bundle
from service.classifier import Classifier
from service.imaging import DEFAULT_LIMITS
from tests.support import encode, newest

PHOTO = (4000, 3000)
PICTURES = 100
MODELS = ("resnet", "cnn")


@pytest.fixture(scope="module")
def classifiers(artifacts: Path) -> list[Classifier]:
    return [Classifier(read_bundle(newest(artifacts / model))) for model in MODELS]


@pytest.fixture(scope="module")
def agreements(cifar10: Path, classifiers: list[Classifier]) -> np.ndarray:
    """For each photo and model, whether the reduced and the whole decode get the same class."""
    folders = sorted((cifar10 / "test").iterdir())
    each = PICTURES // len(folders)
    paths = [path for folder in folders for path in sorted(folder.iterdir())[:each]]
    with ThreadPoolExecutor(2) as pool:
        return np.array(list(pool.map(lambda path: compare(path, classifiers), paths)))


def compare(path: Path, classifiers: list[Classifier]) -> list[bool]:
    photo = encode(Image.open(path).resize(PHOTO, Image.Resampling.BICUBIC), "JPEG", quality=90)
    whole = Image.open(io.BytesIO(photo)).convert("RGB")
    return [agree(classifier, photo, whole) for classifier in classifiers]


def agree(classifier: Classifier, photo: bytes, whole: Image.Image) -> bool:
    size = classifier.manifest.input
    reference = np.asarray(whole.resize((size.width, size.height), Image.Resampling.BILINEAR))
    images = np.stack([classifier.decode(photo, DEFAULT_LIMITS), reference])
    ours, expected = classifier.predict(images).argmax(axis=1)
    return bool(ours == expected)


@pytest.mark.parametrize("model", range(len(MODELS)), ids=MODELS)
def test_reduced_decode_of_a_photo_predicts_as_the_whole(model: int, agreements: np.ndarray) -> None:
    assert agreements.shape == (PICTURES, len(MODELS))
    assert agreements[:, model].sum() >= 0.99 * PICTURES
