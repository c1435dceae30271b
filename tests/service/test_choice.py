import re
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from service import openvino
from service.bundle import Bundle, read_bundle
from service.choice import fastest, open_classifier
from service.classifier import Classifier
from service.errors import BundleError
from service.imaging import DEFAULT_LIMITS
from tests.support import newest


@pytest.fixture(params=["resnet", "cnn"])
def bundle(request: pytest.FixtureRequest, artifacts: Path) -> Bundle:
    return read_bundle(newest(artifacts / request.param))


@pytest.fixture
def amx(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU that says it has AMX, and no plugin; ONNX Runtime asks the CPU itself."""
    monkeypatch.setattr("service.session.cpu_has", lambda _: True)
    monkeypatch.setattr(openvino, "is_installed", lambda: False)


def slowed(bundle: Bundle, seconds: float) -> Classifier:
    """A classifier that takes so much longer."""
    classifier = Classifier(bundle, "int8")
    predict = classifier.predict

    def predict_late(images: NDArray[np.uint8], *, wide: bool = False) -> NDArray[np.float32]:
        time.sleep(seconds)
        return predict(images, wide=wide)

    classifier.predict = predict_late  # type: ignore[method-assign]
    return classifier


def test_clearly_faster_one_is_taken(bundle: Bundle) -> None:
    slow, fast = slowed(bundle, 0.05), slowed(bundle, 0)
    assert fastest([slow, fast]) is fast
    assert fastest([fast, slow]) is fast


def test_first_one_stays_unless_another_is_clearly_faster(bundle: Bundle) -> None:
    first, alike = slowed(bundle, 0.0505), slowed(bundle, 0.05)
    assert fastest([first, alike]) is first


@pytest.mark.usefixtures("amx")
def test_engines_are_timed_where_they_may_gain(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        open_classifier(bundle, "int8")
    assert re.search(r"takes a picture: onnxruntime [\d.]+ ms, amx [\d.]+ ms", caplog.text)


def test_engine_that_can_not_gain_here_says_so(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.choice.cpu_has", lambda _: False)
    open_classifier(bundle, engine="amx")
    assert caplog.messages == ["GLIMPSE_ENGINE=amx: this CPU has no amx_int8, so it only takes longer"]


def test_engine_that_has_nothing_to_do_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="can't be loaded by amx: it has no 8-bit weights"):
        open_classifier(bundle, "fp32", engine="amx")


@pytest.mark.usefixtures("amx")
def test_float_variant_is_left_to_onnx_runtime(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert open_classifier(bundle, "fp32").engine == "onnxruntime"
    assert not caplog.messages


def test_engine_that_was_asked_for_is_not_replaced(bundle: Bundle) -> None:
    own = open_classifier(bundle, engine="onnxruntime")
    other = open_classifier(bundle, most_threads=2, engine="amx")
    assert (other.variant_name, other.engine, other.most_threads) == ("int8", "amx", 2)
    pictures = np.stack([own.decode(data, DEFAULT_LIMITS) for data in bundle.golden.pictures])
    assert np.array_equal(own.predict(pictures), other.predict(pictures))
    assert np.array_equal(own.predict(pictures), other.predict(pictures, wide=True))


def test_engine_that_is_not_there_says_so(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "is_installed", lambda: False)
    with pytest.raises(BundleError, match=r"by openvino: onnxruntime-ep-openvino is not installed"):
        open_classifier(bundle, engine="openvino")


def spoil(graph: bytes) -> bytes:
    """The graph with the weights of its largest layer upside down."""
    model = onnx.load_model_from_string(graph)
    largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weights = numpy_helper.to_array(largest)
    largest.CopyFrom(numpy_helper.from_array(weights[::-1].copy(), largest.name))
    spoiled: bytes = model.SerializeToString()
    return spoiled


@pytest.mark.usefixtures("amx")
def test_engine_that_computes_wrong_is_left_out(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.session.shift_weights", spoil)
    assert open_classifier(bundle).engine == "onnxruntime"
    assert "golden pictures come out" in caplog.text
    assert "amx is left out" in caplog.text
