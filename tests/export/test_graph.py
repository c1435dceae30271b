import json
import subprocess
import sys
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch

from export.gates import GateError, check_parity, check_structure
from export.graph import Deployable, build_graph, describe
from tests.support import ROOT
from train.networks import build_network

SIDE = 16
BUILD = f"""
import sys, torch
from export.graph import Deployable, build_graph
from train.networks import build_network
torch.manual_seed(0)
graph = build_graph(Deployable(build_network("resnet", 3), 1.5).eval(), {SIDE}, {{"b": "2", "a": "1"}})
open(sys.argv[1], "wb").write(graph)
"""


@pytest.fixture(scope="module")
def deployable() -> Deployable:
    torch.manual_seed(0)
    return Deployable(build_network("resnet", 3), 1.5).eval()


@pytest.fixture(scope="module")
def graph(deployable: Deployable) -> bytes:
    return build_graph(deployable, SIDE, describe(("a", "b", "c"), "resnet", 1.5))


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randint(
        0, 256, (32, SIDE, SIDE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def test_graph_passes_its_gates(graph: bytes, deployable: Deployable, images: torch.Tensor) -> None:
    check_structure(graph, SIDE, 3)
    assert check_parity(graph, deployable, images) < 1e-4


def test_probabilities_follow_from_logits_and_temperature(graph: bytes, images: torch.Tensor) -> None:
    session = onnxruntime.InferenceSession(graph)
    logits, probabilities = (torch.from_numpy(out) for out in session.run(None, {"images": images.numpy()}))
    torch.testing.assert_close(torch.softmax(logits / 1.5, 1), probabilities)


def test_graph_has_no_shape_arithmetic(graph: bytes) -> None:
    operators = {node.op_type for node in onnx.load_model_from_string(graph).graph.node}
    assert not operators & {"Shape", "Gather", "Range", "Unsqueeze", "Concat"}


def test_graph_explains_itself(graph: bytes) -> None:
    metadata = onnxruntime.InferenceSession(graph).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["glimpse.class_names"]) == ["a", "b", "c"]
    assert metadata["glimpse.temperature"] == "1.5"


def test_graph_holds_no_path_and_no_trace_of_the_source(graph: bytes) -> None:
    model = onnx.load_model_from_string(graph)
    assert not [node.name for node in model.graph.node if node.metadata_props or node.doc_string]
    assert str(ROOT).encode() not in graph
    assert b".py" not in graph


def test_graph_is_the_same_from_another_process(tmp_path: Path) -> None:
    files = [tmp_path / "one", tmp_path / "two"]
    for file in files:
        subprocess.run([sys.executable, "-c", BUILD, file], cwd=ROOT, check=True, capture_output=True)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_other_input_size_fails_the_structure_gate(graph: bytes) -> None:
    with pytest.raises(GateError, match="gate 'structure' failed: inputs and outputs"):
        check_structure(graph, SIDE + 1, 3)


def test_other_weights_fail_the_parity_gate(graph: bytes, images: torch.Tensor) -> None:
    torch.manual_seed(1)
    other = Deployable(build_network("resnet", 3), 1.5).eval()
    with pytest.raises(GateError, match="gate 'parity' failed: logits at batch 1"):
        check_parity(graph, other, images)
