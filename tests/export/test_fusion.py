"""What ONNX Runtime makes of the committed int8 graphs: an upgrade that no longer fuses shows here."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from export.confidence import Scaling
from export.fusion import FELL_BACK, Fusion, inspect_fusion
from export.graph import finish, trace_from_pixels, trace_network
from export.quantize import quantize
from service.bundle import read_bundle
from tests.support import newest
from train.networks import build_network

SIDE = 16
INTEGER = {
    "resnet": {"QLinearAdd": 5, "QLinearConv": 13, "QLinearGlobalAveragePool": 1},
    "cnn": {"QGemm": 1, "QLinearConv": 2},
}
LAST = {
    ("DequantizeLinear", "goes from integers to float"): 1,
    ("Gemm", "the last layer: 256 levels are too coarse for logits"): 1,
    ("Reshape", "moves bytes and computes nothing"): 1,
    ("Softmax", "makes probabilities of logits"): 1,
    ("Transpose", "moves bytes and computes nothing"): 1,
}
# All that may stay in float, or move bytes: from the last pooling on, and the channels' order.
BENT = {
    (operator, "bends the logits"): count for operator, count in (("Mul", 2), ("ReduceMax", 1), ("Sub", 2))
}
OTHER = {
    "resnet": LAST | BENT,
    "cnn": {
        **LAST,
        ("Div", "divides the logits by the temperature"): 1,
        ("NhwcMaxPool", "compares 8-bit integers as they are"): 2,
    },
}


def quantized(*middle: nn.Module) -> Fusion:
    """Of an int8 network with these layers before the last."""
    torch.manual_seed(0)
    last = (nn.Flatten(), nn.LazyLinear(3))
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), *middle, *last).eval()
    network(torch.zeros(1, 3, SIDE, SIDE))
    images = np.random.default_rng(0).integers(0, 256, (8, SIDE, SIDE, 3), np.uint8)
    return inspect_fusion(finish(quantize(trace_network(network, SIDE), images), Scaling(1.5), {}))


@pytest.mark.parametrize("model", ["resnet", "cnn"])
def test_all_but_the_last_layer_is_computed_in_integers(model: str, artifacts: Path) -> None:
    bundle = read_bundle(newest(artifacts / model))
    fusion = inspect_fusion(bundle.graph("int8").read_bytes())
    assert fusion.integer == INTEGER[model]
    assert fusion.other == OTHER[model]


def test_operator_that_fell_back_to_float_is_told_from_its_like() -> None:
    fusion = quantized(nn.GELU(), nn.Conv2d(8, 8, 3))
    assert fusion.other["Div", "divides the logits by the temperature"] == 1
    assert {operator for operator, why in fusion.other if why == FELL_BACK} == {"Div", "Erf"}


def test_hidden_layer_in_float_is_not_called_the_last() -> None:
    torch.manual_seed(0)
    fusion = inspect_fusion(finish(trace_from_pixels(build_network("cnn", 3).eval(), 64), Scaling(1.5), {}))
    gemms = {why: count for (operator, why), count in fusion.other.items() if operator.endswith("Gemm")}
    assert gemms == {FELL_BACK: 1, "the last layer: 256 levels are too coarse for logits": 1}
    assert ("MaxPool", FELL_BACK) in fusion.other
