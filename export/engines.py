"""A graph in, its accuracy by the engines that the service may take instead of ONNX Runtime's kernels out."""

import logging
from collections.abc import Iterator

from export.measure import evaluate
from service import openvino
from service.bundle import EngineName
from service.cpus import cpu_has
from service.session import AMX, open_session
from train.data import Pixels

logger = logging.getLogger(__name__)

# Without one of them, ONNX Runtime's sums of 8-bit products can overflow, and come out as no AMX has them.
EXACT = (AMX, "avx512_vnni", "avx_vnni")


def accuracy_by_engine(graph: bytes, pixels: Pixels) -> dict[EngineName, float]:
    """The share, 0..1, that each of them gets right here; one that can't compute the graph is left out."""
    accuracies: dict[EngineName, float] = {}
    for engine in _engines_here():
        try:
            accuracies[engine] = evaluate(open_session(graph, engine=engine), pixels).accuracy
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's own exceptions share no base class
            logger.info("not measured by %s: %s", engine, error)
        else:
            logger.info("by %s: accuracy %.2f%%", engine, 100 * accuracies[engine])
    return accuracies


def _engines_here() -> Iterator[EngineName]:
    if any(map(cpu_has, EXACT)):
        yield "amx"
    if openvino.is_installed():
        yield "openvino"
