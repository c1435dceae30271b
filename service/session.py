"""A graph in, a session of ONNX Runtime that has one of three engines compute it out."""

from pathlib import Path

import onnxruntime

from service import openvino
from service.amx import shift_weights
from service.bundle import EngineName, VariantName
from service.cpus import cpu_has
from service.errors import BundleError

AMX = "amx_int8"  # what Linux calls it


def open_session(
    graph: Path | bytes, threads: int = 1, engine: EngineName = "onnxruntime"
) -> onnxruntime.InferenceSession:
    """A session that computes in the calling thread and threads - 1 others; several may call it at once.

    Raises:
        BundleError: ONNX Runtime can't load the file, or not with this engine.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1 if engine == "openvino" else threads  # it has threads of its own
    # Threads that wait for work by spinning take the CPUs from all that runs beside.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.inter_op_num_threads = 1
    # Memory patterns are kept for each batch size seen, and batches come in all sizes.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    try:
        if engine == "openvino":
            return openvino.open_session(graph, options, threads)
        if engine == "amx":
            graph = shift_weights(graph.read_bytes() if isinstance(graph, Path) else graph)
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        name = repr(str(graph)) if isinstance(graph, Path) else "the model"
        what = (
            "is no graph that ONNX Runtime can load"
            if engine == "onnxruntime"
            else f"can't be loaded by {engine}"
        )
        raise BundleError(f"{name} {what}: {error}") from error


def engines_that_may_gain(variant: VariantName) -> tuple[EngineName, ...]:
    """Those worth trying on this CPU: ONNX Runtime's own, and the others if it has AMX for integers."""
    if variant != "int8" or not cpu_has(AMX):
        return ("onnxruntime",)
    return ("onnxruntime", "amx", "openvino") if openvino.is_installed() else ("onnxruntime", "amx")
