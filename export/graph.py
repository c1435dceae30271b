"""A trained network in, one self-describing ONNX graph from raw pixels to probabilities out."""

import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from export.confidence import Scaling
from export.names import BENDING, CALIBRATED, INPUT, LOGITS, OPSET, PROBABILITIES
from train.networks import NetworkError
from train.preprocess import Normalize

LICENSE = "Apache-2.0"


class FromPixels(nn.Module):
    """The network with its preprocessing in front."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.normalize = Normalize()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (N, H, W, 3) to logits, float32 (N, classes)."""
        # Traced channels last, pooling would end in a Gather over computed strides.
        logits: Tensor = self.network(self.normalize(images).contiguous())
        return logits


def trace_from_pixels(network: nn.Module, side: int) -> onnx.ModelProto:
    """uint8 `images` (N, side, side, 3) to `logits`, all in float."""
    example = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    return _trace(FromPixels(network), example)


def trace_network(network: nn.Module, side: int) -> onnx.ModelProto:
    """The bare network: normalised float `images` (N, 3, side, side) to `logits`."""
    return _trace(network, torch.zeros(2, 3, side, side))


def finish(model: onnx.ModelProto, scaling: Scaling, metadata: Mapping[str, str]) -> bytes:
    """Add calibrated probabilities and metadata; the same model gives the same bytes.

    Args:
        model: ends in `logits`, (N, classes); left as it is.
        scaling: of the logits before softmax.
        metadata: goes into the file, so that it explains itself without Glimpse.
    """
    finished = onnx.ModelProto()
    finished.CopyFrom(model)
    graph = finished.graph
    _add_scaling(graph, scaling)
    graph.node.append(helper.make_node("Softmax", [CALIBRATED], [PROBABILITIES], "softmax", axis=-1))
    (logits,) = graph.output
    probabilities = onnx.ValueInfoProto()
    probabilities.CopyFrom(logits)
    probabilities.name = PROBABILITIES
    graph.output.append(probabilities)
    _strip_traces(finished)
    _drop_unused_domains(finished)
    finished.producer_name, finished.producer_version = "glimpse", ""
    helper.set_model_props(finished, dict(sorted(metadata.items())))
    content: bytes = finished.SerializeToString(deterministic=True)
    return content


def _add_scaling(graph: onnx.GraphProto, scaling: Scaling) -> None:
    """What Scaling does to logits, in the same order, so that float32 rounds alike."""

    def constant(name: str, value: float) -> str:
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def compute(operator: str, inputs: Sequence[str], output: str) -> str:
        graph.node.append(helper.make_node(operator, inputs, [output], output))
        return output

    if not scaling.curvature:
        graph.node.append(
            helper.make_node(
                "Div", [LOGITS, constant("temperature", scaling.temperature)], [CALIBRATED], "calibrate"
            )
        )
        return
    axis = BENDING + "axis"
    graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), axis))
    largest = compute("ReduceMax", [LOGITS, axis], BENDING + "largest")
    below = compute("Sub", [LOGITS, largest], BENDING + "below")
    bent = compute("Mul", [constant(BENDING + "curvature", scaling.curvature), below], BENDING + "bent")
    level = constant(BENDING + "level", 1 / scaling.temperature)
    steepness = compute("Sub", [level, bent], BENDING + "steepness")
    compute("Mul", [below, steepness], CALIBRATED)


def describe(
    class_names: Sequence[str], architecture: str, recipe: object, weights_sha256: str, scaling: Scaling
) -> dict[str, str]:
    """The metadata that lets a stranger use the graph."""
    if scaling.curvature:
        below = "d = largest logit - logit"
        outputs = f"logits; probabilities = softmax(-d / temperature - curvature * d^2), {below}"
        more = {"glimpse.curvature": repr(scaling.curvature)}
    else:
        outputs, more = "logits; probabilities = softmax(logits / temperature)", {}
    return {
        **more,
        "glimpse.architecture": architecture,
        "glimpse.class_names": json.dumps(list(class_names)),
        "glimpse.input": "uint8 RGB (N, height, width, 3), 0..255, pictures resized to it bilinearly",
        "glimpse.license": LICENSE,
        "glimpse.outputs": outputs,
        "glimpse.recipe": json.dumps(recipe, sort_keys=True),
        "glimpse.temperature": repr(scaling.temperature),
        "glimpse.weights_sha256": weights_sha256,
    }


def _trace(module: nn.Module, example: Tensor) -> onnx.ModelProto:
    """Trace with a symbolic batch; the example has 2, since a batch of 1 would be taken for a constant.

    Raises:
        NetworkError: its operations hang on values, or ONNX has none like them.
    """
    module.eval()
    try:
        with _silent_torch():
            program = torch.onnx.export(
                module,
                (example,),
                input_names=[INPUT],
                output_names=[LOGITS],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # a stranger's network may fail in any way, and PyTorch's have no common base
        reason = (str(error.__cause__ or error).splitlines() or [type(error).__name__])[0]
        raise NetworkError(
            f"the network can't be traced into an ONNX graph ({reason}): write its forward() without "
            "branches or loops over computed values, and with operations that torch.onnx.export knows"
        ) from error
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    model = program.model_proto
    _strip_traces(model)
    _pool_globally(model.graph)
    return model


@contextmanager
def _silent_torch() -> Iterator[None]:
    """PyTorch warns of its own internals, and logs and prints pages of code that it could not trace."""
    logger = logging.getLogger("torch")
    level = logger.level
    try:
        logger.setLevel(logging.CRITICAL + 1)
        with redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def _pool_globally(graph: onnx.GraphProto) -> None:
    """Say global average pooling where the exporter says mean: only the former can be quantised."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "ReduceMean" or len(node.input) != 2 or node.input[1] not in constants:
            continue
        axes = sorted(numpy_helper.to_array(constants[node.input[1]]).tolist())
        keeps = all(attribute.i for attribute in node.attribute if attribute.name == "keepdims")
        if keeps and axes in ([2, 3], [-2, -1]):
            node.op_type = "GlobalAveragePool"
            del node.input[1:], node.attribute[:]
    used = {name for node in graph.node for name in node.input}
    for name, tensor in constants.items():  # several means may have shared their axes
        if name not in used:
            graph.initializer.remove(tensor)


def _drop_unused_domains(model: onnx.ModelProto) -> None:
    """Forget operator sets that no node is from: ONNX Runtime's tools note all those that they know."""
    used = {node.domain for node in model.graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _strip_traces(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes about source files: it leaks paths and differs between machines."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    model.doc_string = ""
