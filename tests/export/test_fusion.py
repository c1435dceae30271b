"""What ONNX Runtime makes of the committed int8 graphs: an upgrade that no longer fuses shows here."""

from pathlib import Path

import pytest

from export.fusion import inspect_fusion
from service.bundle import read_bundle
from tests.support import newest

INTEGER = {
    "resnet": {"QLinearAdd": 5, "QLinearConv": 13, "QLinearGlobalAveragePool": 1},
    "cnn": {"QGemm": 1, "QLinearConv": 2},
}
# All that may stay in float, or move bytes: from the last pooling on, and the channels' order.
OTHER = {"Transpose", "NhwcMaxPool", "Reshape", "DequantizeLinear", "Gemm", "Div", "Softmax"}


@pytest.mark.parametrize("model", ["resnet", "cnn"])
def test_all_but_the_last_layer_is_computed_in_integers(model: str, artifacts: Path) -> None:
    bundle = read_bundle(newest(artifacts / model))
    fusion = inspect_fusion(bundle.graph("int8").read_bytes())
    assert fusion.integer == INTEGER[model]
    assert fusion.other.keys() <= OTHER
    assert fusion.other["DequantizeLinear"] == fusion.other["Gemm"] == 1


def test_every_operator_left_in_float_has_its_reason(artifacts: Path) -> None:
    for model in ("resnet", "cnn"):
        fusion = inspect_fusion(read_bundle(newest(artifacts / model)).graph("int8").read_bytes())
        assert not [name for name in fusion.other if "no integer kernel" in fusion.why(name)]
