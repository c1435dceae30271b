"""A graph in; which of its nodes ONNX Runtime computes in integers, which in float, and why, out."""

from collections import Counter
from dataclasses import dataclass

import onnx
import onnxruntime

from export.scratch import scratch_folder

_WHY = {
    "Transpose": "moves bytes and computes nothing",
    "Reshape": "moves bytes and computes nothing",
    "Flatten": "moves bytes and computes nothing",
    "MaxPool": "compares 8-bit integers as they are",
    "NhwcMaxPool": "compares 8-bit integers as they are",
    "Relu": "compares 8-bit integers as they are",
    "Clip": "compares 8-bit integers as they are",
    "QuantizeLinear": "goes from float to integers",
    "DequantizeLinear": "goes from integers to float",
    "Gemm": "the last layer: 256 levels are too coarse for logits",
    "MatMul": "the last layer: 256 levels are too coarse for logits",
    "Add": "the last layer's bias",
    "Div": "divides the logits by the temperature",
    "Softmax": "makes probabilities of logits",
}


@dataclass(frozen=True)
class Fusion:
    """Counts of operators after ONNX Runtime's optimisation."""

    integer: dict[str, int]
    other: dict[str, int]

    def why(self, operator: str) -> str:
        """Why an operator is not computed in integers."""
        return _WHY.get(operator, "ONNX Runtime has no integer kernel for it, or did not fuse it")


def inspect_fusion(graph: bytes) -> Fusion:
    """Let ONNX Runtime optimise the graph as the service would, and count."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with scratch_folder(2 * len(graph)) as folder:
        options.optimized_model_filepath = str(folder / "optimized.onnx")
        onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        optimized = onnx.load_model(options.optimized_model_filepath)
    counts = Counter(node.op_type for node in optimized.graph.node)
    integer = {name: count for name, count in sorted(counts.items()) if name.startswith(("QLinear", "QGemm"))}
    other = {name: count for name, count in sorted(counts.items()) if name not in integer}
    return Fusion(integer, other)
