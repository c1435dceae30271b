import dataclasses
from pathlib import Path

from service.bundle import read_bundle
from service.classifier import Classifier
from service.descriptions import ModelSummary
from tests.support import newest


def test_summary_has_the_accuracy_of_the_engine_that_answers(artifacts: Path) -> None:
    bundle = read_bundle(newest(artifacts / "cnn"))
    int8 = bundle.manifest.variants["int8"].model_copy(update={"accuracy": 0.75, "engines": {"amx": 0.5}})
    manifest = bundle.manifest.model_copy(update={"variants": {"int8": int8}})
    changed = dataclasses.replace(bundle, manifest=manifest)
    accuracies = {
        engine: ModelSummary.of(Classifier(changed, "int8", engine=engine), default=True).accuracy
        for engine in ("onnxruntime", "amx")
    }
    assert accuracies == {"onnxruntime": 0.75, "amx": 0.5}
