"""A graph in; which of its nodes ONNX Runtime computes in integers, which in float, and why, out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import onnx
import onnxruntime

from export.names import BENDING, LOGITS, PROBABILITIES
from export.scratch import scratch_folder

FELL_BACK = "ONNX Runtime has no integer kernel for it, or did not fuse it"
_MOVES = {"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"}
_COMPARES = {"MaxPool", "NhwcMaxPool", "Relu", "Clip"}
_BYTES = {onnx.TensorProto.UINT8, onnx.TensorProto.INT8}


@dataclass(frozen=True)
class Fusion:
    """Counts of nodes after ONNX Runtime's optimisation."""

    integer: dict[str, int]  # by operator
    other: dict[tuple[str, str], int]  # by operator and why it is not computed in integers

    def operators(self) -> dict[str, int]:
        """Those that are not computed in integers, whatever the reason."""
        counts: Counter[str] = Counter()
        for (operator, _), count in self.other.items():
            counts[operator] += count
        return dict(counts)


def inspect_fusion(graph: bytes) -> Fusion:
    """Let ONNX Runtime optimise the graph as the service would, and count.

    Raises:
        ScratchError: the temporary folder is full.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with scratch_folder(2 * len(graph)) as folder:
        options.optimized_model_filepath = str(folder / "optimized.onnx")
        onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        optimized = onnx.load_model(options.optimized_model_filepath).graph
    types = _types(optimized)
    integer = Counter(node.op_type for node in optimized.node if _is_integer(node))
    other = Counter((node.op_type, _why(node, types)) for node in optimized.node if not _is_integer(node))
    return Fusion(dict(sorted(integer.items())), dict(sorted(other.items())))


def _is_integer(node: onnx.NodeProto) -> bool:
    return bool(node.op_type.startswith(("QLinear", "QGemm")))


def _why(node: onnx.NodeProto, types: Mapping[str, int]) -> str:
    """Why a node is not computed in integers: by what it does where it stands."""
    reasons = {
        "the last layer: 256 levels are too coarse for logits": LOGITS in node.output,
        "divides the logits by the temperature": node.op_type == "Div" and LOGITS in node.input,
        "bends the logits": LOGITS in node.input or any(name.startswith(BENDING) for name in node.input),
        "makes probabilities of logits": PROBABILITIES in node.output,
        "goes from float to integers": node.op_type == "QuantizeLinear",
        "goes from integers to float": node.op_type == "DequantizeLinear",
        "moves bytes and computes nothing": node.op_type in _MOVES,
        "compares 8-bit integers as they are": node.op_type in _COMPARES
        and types.get(node.input[0]) in _BYTES,
    }
    return next((reason for reason, holds in reasons.items() if holds), FELL_BACK)


def _types(graph: onnx.GraphProto) -> dict[str, int]:
    """Element types of those tensors that may hold bytes; ONNX's own inference stops at foreign operators."""
    types: dict[str, int] = {value.name: value.type.tensor_type.elem_type for value in graph.input}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    for node in graph.node:  # in the order of computing
        if node.op_type in _MOVES | _COMPARES and node.input[0] in types:
            types[node.output[0]] = types[node.input[0]]
        elif node.op_type == "QuantizeLinear" or (_is_integer(node) and not _gives_float(node)):
            types[node.output[0]] = onnx.TensorProto.UINT8
    return types


def _gives_float(node: onnx.NodeProto) -> bool:
    """A QGemm without the scale of its output answers in float."""
    return node.op_type == "QGemm" and not any(node.input[7:])
