import contextlib
import os
from pathlib import Path

import numpy as np
import pytest

from service import openvino
from service.bundle import Bundle, VariantName, read_bundle
from service.classifier import Classifier
from service.imaging import DEFAULT_LIMITS
from tests.support import newest

TASKS = Path("/proc/self/task")


@pytest.fixture(params=["resnet", "cnn"])
def bundle(request: pytest.FixtureRequest, artifacts: Path) -> Bundle:
    """With the plugin at hand: it is installed for AMX, and has nothing for CPUs that are not Intel's."""
    try:
        openvino.find_cpu()
    except openvino.OpenVinoError as error:
        pytest.skip(str(error))
    return read_bundle(newest(artifacts / request.param))


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_answers_are_those_of_onnx_runtime(bundle: Bundle, variant: VariantName) -> None:
    own, other = Classifier(bundle, variant), Classifier(bundle, variant, engine="openvino")
    pictures = np.stack([own.decode(data, DEFAULT_LIMITS) for data in bundle.golden.pictures])
    np.testing.assert_allclose(other.predict(pictures), own.predict(pictures), atol=2e-2)


def test_no_thread_is_bound_to_a_cpu(bundle: Bundle) -> None:
    classifier = Classifier(bundle, "int8", engine="openvino")
    classifier.widen(bundle, 3)
    picture = classifier.decode(bundle.golden.pictures[0], DEFAULT_LIMITS)[None]
    for _ in range(20):
        classifier.predict(picture, wide=True)
    allowed = {_cpus(task) for task in TASKS.iterdir()} - {0}
    assert allowed == {len(os.sched_getaffinity(0))}


def _cpus(task: Path) -> int:
    """How many a thread may run on; none, if it is over."""
    with contextlib.suppress(ProcessLookupError):
        return len(os.sched_getaffinity(int(task.name)))
    return 0
