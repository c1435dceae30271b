"""A trained network in, one self-describing ONNX graph from raw pixels to probabilities out."""

import json
import warnings
from collections.abc import Mapping, Sequence

import onnx
import torch
from torch import Tensor, nn

from train.preprocess import Normalize

OPSET = 18
INPUT = "images"
LOGITS = "logits"
PROBABILITIES = "probabilities"


class Deployable(nn.Module):
    """The network with its preprocessing in front and its temperature and softmax behind."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.normalize = Normalize()
        self.network = network
        self.temperature = temperature

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (N, H, W, 3) to logits and calibrated probabilities, each float32 (N, classes)."""
        # Traced channels last, pooling would end in a Gather over computed strides.
        logits = self.network(self.normalize(images).contiguous())
        return logits, torch.softmax(logits / self.temperature, dim=1)


def build_graph(deployable: Deployable, side: int, metadata: Mapping[str, str]) -> bytes:
    """Trace `deployable` with a symbolic batch; the same weights give the same bytes.

    Args:
        deployable: is put into evaluation mode.
        side: the input's height and width in pixels.
        metadata: goes into the file, so that it explains itself without Glimpse.
    """
    deployable.eval()
    example = torch.zeros(
        2, side, side, 3, dtype=torch.uint8
    )  # 2: a batch of 1 would be taken for a constant
    with warnings.catch_warnings():  # PyTorch warns of its own internals, which nobody here can change
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.onnx.export(
            deployable,
            (example,),
            input_names=[INPUT],
            output_names=[LOGITS, PROBABILITIES],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    model = program.model_proto
    _strip_traces(model)
    model.producer_name, model.producer_version = "glimpse", ""
    onnx.helper.set_model_props(model, dict(sorted(metadata.items())))
    graph: bytes = model.SerializeToString(deterministic=True)
    return graph


def describe(class_names: Sequence[str], architecture: str, temperature: float) -> dict[str, str]:
    """The metadata that lets a stranger use the graph."""
    return {
        "glimpse.architecture": architecture,
        "glimpse.class_names": json.dumps(list(class_names)),
        "glimpse.input": "uint8 RGB (N, height, width, 3), 0..255, pictures resized to it bilinearly",
        "glimpse.outputs": "logits; probabilities = softmax(logits / temperature)",
        "glimpse.temperature": repr(temperature),
    }


def _strip_traces(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes about source files: it leaks paths and differs between machines."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    model.doc_string = ""
