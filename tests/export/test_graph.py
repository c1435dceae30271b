import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from export.bounds import Bound
from export.confidence import Scaling
from export.gates import GateError, GateLog, Limits, check_independence, check_parity, check_structure
from export.graph import FromPixels, describe, finish, trace_from_pixels, trace_network
from export.quantize import quantize
from service.session import open_session
from tests.support import ROOT
from train.networks import NetworkError, build_network

SIDE = 16
TEMPERATURE = 1.5
METADATA = describe(("a", "b", "c"), "resnet", {"name": "quick"}, "f00d", Scaling(TEMPERATURE))
BUILD = f"""
import sys, numpy, torch
from export.confidence import Scaling
from export.graph import finish, trace_from_pixels, trace_network
from export.quantize import quantize
from train.networks import build_network
torch.manual_seed(0)
network = build_network("resnet", 3).eval()
images = numpy.random.default_rng(0).integers(0, 256, (8, {SIDE}, {SIDE}, 3), numpy.uint8)
for path, model in zip(sys.argv[1:], (
    trace_from_pixels(network, {SIDE}), quantize(trace_network(network, {SIDE}), images)
)):
    open(path, "wb").write(finish(model, Scaling(1.5), {{"b": "2", "a": "1"}}))
"""


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    resnet = build_network("resnet", 3)
    with torch.no_grad():  # a block that starts as its shortcut would leave half of the graph at zero
        for name, parameter in resnet.named_parameters():
            if name.endswith("norm2.weight"):
                parameter.fill_(0.5)
    return resnet.eval()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (32, SIDE, SIDE, 3), np.uint8)


@pytest.fixture(scope="module")
def graphs(network: nn.Module, images: np.ndarray) -> dict[str, bytes]:
    models = {
        "fp32": trace_from_pixels(network, SIDE),
        "int8": quantize(trace_network(network, SIDE), images),
    }
    return {name: finish(model, Scaling(TEMPERATURE), METADATA) for name, model in models.items()}


@pytest.fixture(params=["fp32", "int8"])
def graph(request: pytest.FixtureRequest, graphs: dict[str, bytes]) -> bytes:
    return graphs[request.param]


def expected(network: nn.Module, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with torch.inference_mode():
        logits = FromPixels(network)(torch.from_numpy(images))
    return logits.numpy(), torch.softmax(logits / TEMPERATURE, 1).numpy()


def test_graph_has_the_structure_of_the_contract(graph: bytes) -> None:
    check_structure(GateLog(), "any", graph, SIDE, 3)


def test_answers_depend_on_nothing_but_the_picture(graph: bytes, images: np.ndarray) -> None:
    log = GateLog()
    check_independence(log, "any", open_session(graph), images, Limits())
    assert [passed.gate for passed in log.passed] == ["independence of the batch", "determinism"]


def test_float_graph_gives_pytorchs_answers(
    graphs: dict[str, bytes], network: nn.Module, images: np.ndarray
) -> None:
    log = GateLog()
    check_parity(log, "fp32", open_session(graphs["fp32"]), images, expected(network, images), Limits())
    assert 0 < log.passed[0].figure < 1e-4


def test_integer_graph_is_close_to_pytorch(
    graphs: dict[str, bytes], network: nn.Module, images: np.ndarray
) -> None:
    logits = open_session(graphs["int8"]).run(["logits"], {"images": images})[0]
    reference, _ = expected(network, images)
    assert np.abs(logits - reference).max() < 0.1 * np.ptp(reference)


def test_integer_graph_is_a_third_of_the_size(graphs: dict[str, bytes]) -> None:
    assert len(graphs["int8"]) < len(graphs["fp32"]) / 3


def test_probabilities_follow_from_logits_and_temperature(graph: bytes, images: np.ndarray) -> None:
    session = onnxruntime.InferenceSession(graph)
    logits, probabilities = (torch.from_numpy(out) for out in session.run(None, {"images": images}))
    torch.testing.assert_close(torch.softmax(logits / TEMPERATURE, 1), probabilities)


def test_bent_probabilities_follow_from_logits(network: nn.Module, images: np.ndarray) -> None:
    scaling = Scaling(0.7, 0.2)
    session = onnxruntime.InferenceSession(finish(trace_from_pixels(network, SIDE), scaling, {}))
    logits, probabilities = (torch.from_numpy(out) for out in session.run(None, {"images": images}))
    distance = logits.max(1, keepdim=True).values - logits
    torch.testing.assert_close(torch.softmax(-distance / 0.7 - 0.2 * distance**2, 1), probabilities)
    torch.testing.assert_close(torch.softmax(scaling(logits), 1), probabilities)


def test_network_with_several_means_is_traced() -> None:
    network = build_network("torchvision:mobilenet_v3_small", 3).eval()
    model = onnx.load_model_from_string(finish(trace_from_pixels(network, 32), Scaling(1.0), {}))
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("GlobalAveragePool") > 1
    assert "ReduceMean" not in operators


def test_network_that_does_not_begin_with_a_layer_is_refused_for_int8(images: np.ndarray) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 3)).eval()
    with pytest.raises(NetworkError, match=r"begins with (Reshape|Flatten): export it with --float-only"):
        quantize(trace_network(network, SIDE), images)


def test_optimisation_that_fails_stops_quantising(
    network: nn.Module, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no optimiser here")

    monkeypatch.setattr("onnxruntime.quantization.shape_inference.onnxruntime.InferenceSession", fail)
    with pytest.raises(NetworkError, match=r"can't be quantised \(no optimiser here\): .* --float-only"):
        quantize(trace_network(network, SIDE), images)


def test_graph_has_no_shape_arithmetic(graph: bytes) -> None:
    operators = {node.op_type for node in onnx.load_model_from_string(graph).graph.node}
    assert not operators & {"Shape", "Gather", "Range", "Unsqueeze", "Concat", "ReduceMean"}


def test_graph_explains_itself(graph: bytes) -> None:
    metadata = onnxruntime.InferenceSession(graph).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["glimpse.class_names"]) == ["a", "b", "c"]
    assert metadata["glimpse.temperature"] == "1.5"
    assert "glimpse.curvature" not in metadata
    assert metadata["glimpse.weights_sha256"] == "f00d"
    assert json.loads(metadata["glimpse.recipe"]) == {"name": "quick"}


def test_graph_holds_no_path_and_no_trace_of_the_source(graph: bytes) -> None:
    model = onnx.load_model_from_string(graph)
    assert not [node.name for node in model.graph.node if node.metadata_props or node.doc_string]
    assert str(ROOT).encode() not in graph
    assert b".py" not in graph


def test_graphs_are_the_same_from_another_process(tmp_path: Path) -> None:
    pairs = [(tmp_path / f"{name}.fp32", tmp_path / f"{name}.int8") for name in ("one", "two")]
    for pair in pairs:
        subprocess.run([sys.executable, "-c", BUILD, *pair], cwd=ROOT, check=True, capture_output=True)
    for one, two in zip(*pairs, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_other_input_size_fails_the_structure_gate(graph: bytes) -> None:
    with pytest.raises(GateError, match="gate 'structure' failed for any: inputs and outputs"):
        check_structure(GateLog(), "any", graph, SIDE + 1, 3)


def test_foreign_domain_fails_the_structure_gate(graph: bytes) -> None:
    model = onnx.load_model_from_string(graph)
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    with pytest.raises(GateError, match=r"operator sets .*com\.example"):
        check_structure(GateLog(), "any", model.SerializeToString(), SIDE, 3)


def test_other_weights_fail_the_parity_gate(graphs: dict[str, bytes], images: np.ndarray) -> None:
    torch.manual_seed(1)
    other = build_network("resnet", 3).eval()
    session, answers = open_session(graphs["fp32"]), expected(other, images)
    with pytest.raises(GateError, match=r"gate 'parity with PyTorch' failed for fp32: .* must be at most"):
        check_parity(GateLog(), "fp32", session, images, answers, Limits())


@pytest.mark.parametrize("figure", [0.2, float("nan")])
def test_figure_over_its_limit_fails_with_both(figure: float) -> None:
    with pytest.raises(GateError, match=f"gate 'loss' failed for int8: {figure}, and must be at most 0.1"):
        GateLog().check("int8", "loss", figure, Bound("most", 0.1))
