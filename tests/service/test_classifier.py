import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from service import openvino
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


# Run apart, as it takes all memory that a process may have: pictures one at a time, many, and one at a time.
SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from service.bundle import read_bundle
from service.classifier import Classifier
from service.imaging import DEFAULT_LIMITS

bundle = read_bundle(Path(sys.argv[1]))
classifier = Classifier(bundle, "int8", engine=sys.argv[2])
golden = [classifier.decode(data, DEFAULT_LIMITS)[None] for data in bundle.golden.pictures]
many = np.repeat(np.concatenate(golden), 20, axis=0)
expected = [classifier.predict(one) for one in golden]
(data,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
before = resource.getrlimit(resource.RLIMIT_DATA)
resource.setrlimit(resource.RLIMIT_DATA, (1024 * int(data.split()[1]), before[1]))
try:
    classifier.predict(many)
except MemoryError as error:
    print("MemoryError:", str(error).partition(":")[0])
resource.setrlimit(resource.RLIMIT_DATA, before)
for one, wanted in zip(golden, expected):
    assert np.abs(classifier.predict(one) - wanted).max() < 0.02
print("right after that, by", classifier.engine)
"""


def short_of_memory(bundle: Bundle, engine: EngineName) -> list[str]:
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(bundle.folder), engine]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()


def test_no_memory_for_many_pictures_is_a_memory_error_and_soon_over(bundle: Bundle) -> None:
    assert short_of_memory(bundle, "onnxruntime") == [
        "MemoryError: no memory to classify 200 pictures at a time for onnxruntime",
        "right after that, by onnxruntime",
    ]


def test_plugin_that_ran_out_of_memory_answers_no_more(bundle: Bundle) -> None:
    try:
        openvino.find_cpu()
    except openvino.OpenVinoError as error:
        pytest.skip(str(error))
    assert short_of_memory(bundle, "openvino") == [
        "MemoryError: no memory to classify 200 pictures at a time for openvino",
        "right after that, by onnxruntime",
    ]


def test_plugin_that_fails_answers_no_more(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = Classifier(bundle, "int8")
    picture = classifier.decode(bundle.golden.pictures[0], DEFAULT_LIMITS)[None]
    expected = classifier.predict(picture)
    monkeypatch.setattr(classifier, "engine", "openvino")
    monkeypatch.setattr(classifier, "_session", Mock(run=Mock(side_effect=RuntimeError("can't alloc"))))
    with pytest.raises(MemoryError, match="no memory to classify 1 pictures at a time for openvino: can't"):
        classifier.predict(picture)
    assert np.array_equal(classifier.predict(picture), expected)
    assert classifier.engine == "onnxruntime"


class Spoilt:
    """A session that gives its first answer for ever, as OpenVINO's do once they have got no memory."""

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        self._first: list[NDArray[np.float32]] = []

    def run(self, names: list[str], inputs: dict[str, NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        self._first = self._first or self._session.run(names, inputs)
        return self._first


def test_engine_that_answers_for_other_pictures_is_left(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    classifier = Classifier(bundle, "int8", engine="amx")
    one, *others = [classifier.decode(data, DEFAULT_LIMITS)[None] for data in bundle.golden.pictures[:3]]
    expected = Classifier(bundle, "int8").predict(others[0])
    monkeypatch.setattr(classifier, "_session", Spoilt(classifier._session))
    classifier.predict(one)
    with pytest.raises(
        MemoryError, match="no memory to classify 2 pictures at a time for amx: it answered for others"
    ):
        classifier.predict(np.concatenate(others))
    with monkeypatch.context() as patch:
        patch.setattr("service.classifier.open_session", Mock(side_effect=BundleError("no room")))
        with pytest.raises(MemoryError, match="no room"):
            classifier.predict(others[0])
    assert not caplog.messages
    assert np.array_equal(classifier.predict(others[0]), expected)
    assert classifier.engine == "onnxruntime"
    assert ": amx is left, as it ran out of memory" in caplog.text


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
