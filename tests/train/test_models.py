import pytest
import torch
from torch import nn

from train.networks import build_network, count_parameters


def test_cnn_has_exactly_its_parameters() -> None:
    assert count_parameters(build_network("cnn", 10)) == 825_398


def test_resnet_is_the_network_described() -> None:
    def block(inside: int, outside: int) -> int:
        shortcut = 0 if inside == outside else inside * outside
        return 9 * inside * outside + 9 * outside * outside + 4 * outside + shortcut

    stem = 9 * 3 * 64 + 2 * 64
    blocks = block(64, 64) + block(64, 128) + block(128, 128) + block(128, 256) + block(256, 256)
    assert count_parameters(build_network("resnet", 10)) == stem + blocks + 256 * 10 + 10


@pytest.mark.parametrize(("name", "side"), [("resnet", 32), ("resnet", 20), ("cnn", 64)])
def test_logits_have_one_column_a_class(name: str, side: int) -> None:
    assert build_network(name, 7).eval()(torch.zeros(2, 3, side, side)).shape == (2, 7)


def test_resnet_halves_the_picture_twice() -> None:
    model = build_network("resnet", 10)
    assert isinstance(model.blocks, nn.Sequential)
    assert isinstance(model.stem, nn.Sequential)
    assert model.blocks(model.stem(torch.zeros(1, 3, 32, 32))).shape == (1, 256, 8, 8)


def test_dropout_is_the_recipes() -> None:
    rates = [
        module.p for module in build_network("resnet", 10, 0.3).modules() if isinstance(module, nn.Dropout)
    ]
    assert rates == [0.3]
