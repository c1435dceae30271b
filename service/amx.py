"""A quantised graph in, the same network written so that ONNX Runtime multiplies its integers by AMX out.

ONNX Runtime has two ways to compute a quantised convolution. Weights with the zero point 0
take kernels that know AVX-512 VNNI but not AMX; all others are multiplied as matrices, and those kernels know
AMX. So the weights' integers and their zero points are moved down by one: the differences of the two, and so
every sum of products and every answer, stay what they were, to the bit.

Measured with ONNX Runtime 1.31 (docs/performance.md#engines); whether another gains from it is timed at each
start.
"""

from collections import Counter
from functools import cache
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_INT8 = 3  # of TensorProto.DataType
_LEAST = -128

# Of the ONNX format only what is read or changed, by the field numbers of onnx.proto; protobuf passes the
# rest through as it is. So the service needs no onnx package.
_MESSAGES = {
    "Model": {"graph": (7, "Graph")},
    "Graph": {"node": (1, "Node[]"), "initializer": (5, "Tensor[]")},
    "Node": {"input": (1, "string[]"), "op_type": (4, "string")},
    "Tensor": {
        "data_type": (2, "int32"),
        "int32_data": (5, "int32[]"),
        "name": (8, "string"),
        "raw_data": (9, "bytes"),
    },
}
_PACKAGE = "glimpse.onnx"


def shift_weights(graph: bytes) -> bytes:
    """The graph with all int8 weights one less, and their zero points at -1 instead of 0.

    Left as they are: weights of which one is -128 already, which have no zero point or another one, and those
    that, or whose zero point, another node reads too.

    Args:
        graph: an ONNX file in QDQ form with its weights inside, as raw data.

    Raises:
        ValueError: none of its weights can be moved, as in a graph that computes in float.
        google.protobuf.message.DecodeError: it is no ONNX file.
    """
    model: Any = _classes()["Model"].FromString(graph)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    readers = Counter(name for node in model.graph.node for name in node.input)
    moved = 0
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or not all(name in tensors for name in node.input):
            continue
        weights, *_, zero_point = node.input
        if len(node.input) == 3 and readers[weights] == readers[zero_point] == 1:
            moved += _shift(tensors[weights], tensors[zero_point])
    if not moved:
        raise ValueError("it has no 8-bit weights that can be moved by one")
    shifted: bytes = model.SerializeToString()
    return shifted


def _shift(weights: Any, zero_point: Any) -> bool:  # noqa: ANN401 - classes that protobuf makes at run time
    """Whether they could be moved."""
    if weights.data_type != _INT8 or not weights.raw_data:
        return False
    integers = np.frombuffer(weights.raw_data, np.int8)
    zeros = zero_point.int32_data or np.frombuffer(zero_point.raw_data, np.int8)
    if integers.min() == _LEAST or len(zeros) == 0 or any(zeros):
        return False
    weights.raw_data = (integers - 1).tobytes()
    zero_point.raw_data = np.full(len(zeros), -1, np.int8).tobytes()
    del zero_point.int32_data[:]
    return True


@cache
def _classes() -> dict[str, Any]:
    """Message classes by name."""
    file = descriptor_pb2.FileDescriptorProto(name="glimpse_onnx.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(message, field, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


def _add_field(message: Any, name: str, number: int, kind: str) -> None:  # noqa: ANN401 - protobuf has no types
    field = message.field.add(name=name, number=number)
    element = kind.removesuffix("[]")
    if element in _MESSAGES:
        field.type = field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{element}"
    else:
        field.type = getattr(field, f"TYPE_{element.upper()}")
    field.label = field.LABEL_OPTIONAL if element == kind else field.LABEL_REPEATED
