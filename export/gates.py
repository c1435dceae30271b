"""What a graph must pass before it may become a bundle; each gate names its figure and its limit."""

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.graph import INPUT, LOGITS, OPSET, PROBABILITIES, Deployable

PARITY_BATCHES = (1, 2, 3, 7, 32)
PARITY_PICTURES = 256
ATOL = 1e-4
RTOL = 1e-3


class GateError(Exception):
    """A gate that failed, with its figure and its limit."""

    def __init__(self, gate: str, finding: str) -> None:
        super().__init__(f"gate {gate!r} failed: {finding}")


def check_structure(graph: bytes, side: int, num_classes: int) -> None:
    """The checker's full pass, and the names, types and shapes that the service relies on.

    Raises:
        GateError: the graph is another one than intended.
    """
    model = onnx.load_model_from_string(graph)
    try:
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GateError("structure", str(error)) from error
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    if opsets != {"": OPSET}:
        raise GateError("structure", f"operator sets {opsets}, only the standard one at {OPSET} is allowed")
    expected = {
        INPUT: (onnx.TensorProto.UINT8, [None, side, side, 3]),
        LOGITS: (onnx.TensorProto.FLOAT, [None, num_classes]),
        PROBABILITIES: (onnx.TensorProto.FLOAT, [None, num_classes]),
    }
    found = {value.name: _type_and_shape(value) for value in (*model.graph.input, *model.graph.output)}
    if found != expected:
        raise GateError("structure", f"inputs and outputs are {found}, and should be {expected}")


def check_parity(graph: bytes, deployable: Deployable, images: Tensor) -> float:
    """Compare ONNX Runtime with PyTorch on real pictures at several batch sizes; the largest difference.

    Args:
        graph: the serialised ONNX model.
        deployable: the network it was made from.
        images: uint8 (N, side, side, 3); the first PARITY_PICTURES are used.

    Raises:
        GateError: a logit or a probability differs by more than ATOL + RTOL * |expected|.
    """
    images = images[:PARITY_PICTURES]
    with torch.inference_mode():
        expected = [output.numpy() for output in deployable(images)]
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    largest = 0.0
    for batch_size in PARITY_BATCHES:
        outputs = _run(session, images.numpy(), batch_size)
        for name, ours, theirs in zip((LOGITS, PROBABILITIES), outputs, expected, strict=True):
            difference = np.abs(ours - theirs)
            if not (difference - RTOL * np.abs(theirs)).max() <= ATOL:
                limit = f"{ATOL:g} + {RTOL:g} * |expected|"
                finding = (
                    f"{name} at batch {batch_size} are {difference.max():.2e} from PyTorch's, over {limit}"
                )
                raise GateError("parity", finding)
            largest = max(largest, float(difference.max()))
    return largest


def _run(
    session: onnxruntime.InferenceSession, images: NDArray[np.uint8], batch_size: int
) -> list[NDArray[np.float32]]:
    starts = range(0, len(images), batch_size)
    parts = [session.run([LOGITS, PROBABILITIES], {INPUT: images[i : i + batch_size]}) for i in starts]
    return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]


def _type_and_shape(value: onnx.ValueInfoProto) -> tuple[int, list[int | None]]:
    tensor = value.type.tensor_type
    return tensor.elem_type, [
        dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim
    ]
