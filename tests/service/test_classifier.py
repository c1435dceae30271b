import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime import InferenceSession

from service.bundle import Bundle, EngineName, VariantName, read_bundle
from service.choice import open_classifier
from service.classifier import Classifier, prediction_set_size, rank
from service.errors import BundleError
from service.imaging import DEFAULT_LIMITS
from service.session import open_session
from tests.service.test_bundle import make_manifest
from tests.support import ROOT, newest


@pytest.fixture(params=["resnet", "cnn"])
def bundle(request: pytest.FixtureRequest, artifacts: Path) -> Bundle:
    return read_bundle(newest(artifacts / request.param))


def with_wrong_golden(bundle: Bundle, *variants: VariantName) -> Bundle:
    """The bundle, expecting other answers of some variants."""
    expected = {
        name: np.roll(array, 1, axis=0) if name in variants else array
        for name, array in bundle.golden.probabilities.items()
    }
    return dataclasses.replace(bundle, golden=dataclasses.replace(bundle.golden, probabilities=expected))


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_probabilities_sum_to_one(bundle: Bundle, variant: VariantName) -> None:
    classifier = Classifier(bundle, variant)
    pictures = [classifier.decode(data, DEFAULT_LIMITS) for data in bundle.golden.pictures]
    assert classifier.predict(np.stack(pictures)).sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_answer_does_not_depend_on_the_batch(bundle: Bundle, variant: VariantName) -> None:
    classifier = Classifier(bundle, variant)
    pictures = np.stack([classifier.decode(data, DEFAULT_LIMITS) for data in bundle.golden.pictures])
    alone = np.concatenate([classifier.predict(picture[None]) for picture in pictures])
    np.testing.assert_allclose(classifier.predict(pictures), alone, atol=1e-5)


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_answer_does_not_depend_on_the_threads(bundle: Bundle, variant: VariantName) -> None:
    before = threads()
    classifier = Classifier(bundle, variant)
    classifier.widen(bundle, 3)
    assert threads() == before + 2
    pictures = np.stack([classifier.decode(data, DEFAULT_LIMITS) for data in bundle.golden.pictures])
    answers = classifier.predict(pictures)
    np.testing.assert_allclose(classifier.predict(pictures, wide=True), answers, atol=1e-5)


def test_model_that_gets_no_more_threads_does_without(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def open_narrow(graph: Path, threads: int, engine: EngineName) -> InferenceSession:
        if threads > 1:
            raise BundleError("no thread can be started")
        return open_session(graph, threads, engine)

    monkeypatch.setattr("service.classifier.open_session", open_narrow)
    classifier = open_classifier(bundle, "auto", threads=1, most_threads=2)
    assert (classifier.variant_name, classifier.most_threads) == ("int8", 1)
    assert caplog.messages == ["no thread can be started; it is not computed with more threads"]
    picture = classifier.decode(bundle.golden.pictures[0], DEFAULT_LIMITS)[None]
    assert np.array_equal(classifier.predict(picture, wide=True), classifier.predict(picture))


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_disagreeing_golden_pictures_are_refused(bundle: Bundle, variant: VariantName) -> None:
    with pytest.raises(BundleError, match=f"{variant}: its golden pictures come out"):
        Classifier(with_wrong_golden(bundle, variant), variant)


def test_int8_answers_where_it_computes_right(bundle: Bundle) -> None:
    assert open_classifier(bundle, "auto").variant_name == "int8"


def test_fp32_answers_where_int8_computes_wrong(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    assert open_classifier(with_wrong_golden(bundle, "int8"), "auto").variant_name == "fp32"
    assert "fp32 answers instead" in caplog.text


def test_variant_that_was_asked_for_is_not_replaced(bundle: Bundle) -> None:
    assert open_classifier(bundle, "fp32").variant_name == "fp32"
    with pytest.raises(BundleError, match="golden pictures come out"):
        open_classifier(with_wrong_golden(bundle, "int8"), "int8")


def test_variant_that_is_not_there_names_those_that_are(bundle: Bundle) -> None:
    only = {"fp32": bundle.manifest.variants["fp32"]}
    one = dataclasses.replace(bundle, manifest=bundle.manifest.model_copy(update={"variants": only}))
    with pytest.raises(BundleError, match="has no variant 'int8': it has fp32"):
        open_classifier(one, "int8")
    assert open_classifier(one, "auto").variant_name == "fp32"


def test_graph_of_another_size_is_refused(bundle: Bundle) -> None:
    spec = bundle.manifest.input.model_copy(update={"height": 48, "width": 48})
    other = bundle.manifest.model_copy(update={"input": spec})
    with pytest.raises(BundleError, match="golden pictures can't be classified"):
        Classifier(dataclasses.replace(bundle, manifest=other))


def test_class_names_that_are_too_few_are_refused(bundle: Bundle) -> None:
    other = bundle.manifest.model_copy(update={"class_names": bundle.manifest.class_names[:3]})
    with pytest.raises(BundleError, match="do not belong together"):
        Classifier(dataclasses.replace(bundle, manifest=other))


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_class_names_in_another_order_than_the_graphs_are_refused(
    bundle: Bundle, variant: VariantName
) -> None:
    other = bundle.manifest.model_copy(update={"class_names": bundle.manifest.class_names[::-1]})
    with pytest.raises(BundleError, match=f"{variant}: its graph does not name the class_names"):
        Classifier(dataclasses.replace(bundle, manifest=other), variant)
    with pytest.raises(BundleError, match="does not name the class_names"):
        open_classifier(dataclasses.replace(bundle, manifest=other), "auto")


def test_graph_that_names_no_classes_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    graph = onnx.load_model(bundle.graph("fp32"))
    del graph.metadata_props[:]
    onnx.save_model(graph, tmp_path / "model.onnx")
    with pytest.raises(BundleError, match="fp32: its graph does not name the class_names"):
        Classifier(dataclasses.replace(bundle, folder=tmp_path))


def test_file_that_is_no_graph_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match="no graph that ONNX Runtime can load"):
        Classifier(dataclasses.replace(bundle, folder=tmp_path))


def test_classes_are_ranked_by_probability_and_then_by_index() -> None:
    assert rank(np.array([0.2, 0.5, 0.3], np.float32)) == [1, 2, 0]
    assert rank(np.array([0.25, 0.25, 0.5], np.float32)) == [2, 0, 1]


@pytest.mark.parametrize(("least", "size"), [(0.25, 2), (0.2501, 1), (0.61, 0), (0, 3)])
def test_prediction_set_holds_each_class_at_or_over_the_threshold(least: float, size: int) -> None:
    variant = make_manifest().variants["fp32"].model_copy(update={"prediction_set_quantile": 1 - least})
    assert prediction_set_size(np.array([0.15, 0.6, 0.25], np.float32), variant) == size


@pytest.mark.parametrize("package", ["service", "export"])
def test_onnx_runtime_keeps_no_record_for_its_makers(package: str, artifacts: Path, tmp_path: Path) -> None:
    graph = newest(artifacts / "cnn") / "model.onnx"
    code = f"import {package}, onnxruntime; onnxruntime.InferenceSession({str(graph)!r})"
    left_out = {"ORT_DISABLE_TELEMETRY", "CI"}  # either would do what is tested here
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment["TMPDIR"] = str(tmp_path)  # where it would keep the id of its session
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, timeout=120)
    assert list(tmp_path.iterdir()) == []
