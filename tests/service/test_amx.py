from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from service.amx import shift_weights
from tests.support import newest

WEIGHTS, ZEROS = "weights", "zeros"


@pytest.fixture(params=["resnet", "cnn"])
def graph(request: pytest.FixtureRequest, artifacts: Path) -> bytes:
    return (newest(artifacts / request.param) / "model.int8.onnx").read_bytes()


def answers(graph: bytes, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    outputs: list[NDArray[np.float32]] = session.run(None, {"images": images})
    return outputs


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_every_answer_stays_the_same_to_the_bit(graph: bytes, batch: int) -> None:
    side = onnx.load_model_from_string(graph).graph.input[0].type.tensor_type.shape.dim[1].dim_value
    images = np.random.default_rng(batch).integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    shifted = answers(shift_weights(graph), images)
    assert all(map(np.array_equal, answers(graph, images), shifted))


def test_all_that_is_not_a_weight_passes_through(graph: bytes) -> None:
    before, after = (onnx.load_model_from_string(one) for one in (graph, shift_weights(graph)))
    onnx.checker.check_model(after, full_check=True)
    changed = [
        (old, new)
        for old, new in zip(before.graph.initializer, after.graph.initializer, strict=True)
        if old != new
    ]
    assert {old.data_type for old, _ in changed} == {onnx.TensorProto.INT8}
    for old, new in changed:
        new.CopyFrom(old)
    assert after == before


def test_no_weight_keeps_the_zero_point_0(graph: bytes) -> None:
    model = onnx.load_model_from_string(shift_weights(graph)).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.initializer}
    pairs = [node.input for node in model.node if node.op_type == "DequantizeLinear"]
    points = [tensors[zero_point] for name, _, zero_point in pairs if tensors.get(name, ZEROS) is not ZEROS]
    of_weights = [one for one in points if one.dtype == np.int8]
    assert len(of_weights) >= 3
    assert all((one == -1).all() for one in of_weights)


def test_float_graph_is_refused(artifacts: Path) -> None:
    graph = (newest(artifacts / "cnn") / "model.onnx").read_bytes()
    with pytest.raises(ValueError, match="no 8-bit weights that can be moved"):
        shift_weights(graph)


def dequantized(weights: list[int], zero_points: list[int], readers: int = 1, *, raw: bool = True) -> bytes:
    """A graph that does nothing but dequantise int8 weights, so many times."""
    array, zeros = (np.array(values, np.int8) for values in (weights, zero_points))
    scale = numpy_helper.from_array(np.ones(len(zeros), np.float32), "scale")
    point = helper.make_tensor(ZEROS, onnx.TensorProto.INT8, zeros.shape, zeros.tolist())
    nodes = [
        helper.make_node("DequantizeLinear", [WEIGHTS, "scale", ZEROS], [f"out{index}"], axis=0)
        for index in range(readers)
    ]
    tensors = [numpy_helper.from_array(array, WEIGHTS), scale]
    tensors.append(numpy_helper.from_array(zeros, ZEROS) if raw else point)
    return helper.make_model(helper.make_graph(nodes, "weights", [], [], tensors)).SerializeToString()


def shifted_weights(graph: bytes) -> tuple[list[int], list[int]]:
    tensors = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in onnx.load_model_from_string(shift_weights(graph)).graph.initializer
    }
    return tensors[WEIGHTS].tolist(), tensors[ZEROS].tolist()


@pytest.mark.parametrize("raw", [True, False])
def test_zero_points_are_found_in_either_form(*, raw: bool) -> None:
    assert shifted_weights(dequantized([-127, 127], [0, 0], raw=raw)) == ([-128, 126], [-1, -1])


@pytest.mark.parametrize(
    ("weights", "zero_points", "readers"),
    [([-128, 5], [0, 0], 1), ([4, 5], [0, 3], 1), ([4, 5], [0, 0], 2)],
    ids=["nowhere to go", "another zero point", "read by others too"],
)
def test_weights_that_can_not_move_are_left_alone(
    weights: list[int], zero_points: list[int], readers: int
) -> None:
    with pytest.raises(ValueError, match="no 8-bit weights that can be moved"):
        shift_weights(dequantized(weights, zero_points, readers))


def test_file_that_is_no_graph_is_refused() -> None:
    with pytest.raises(DecodeError):
        shift_weights(b"no graph")
