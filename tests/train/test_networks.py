from pathlib import Path

import pytest
import torch
from torch import nn

from train.networks import NetworkError, build_network, check_input, count_parameters


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "googlenet"])
def test_torchvision_classifier_gives_one_logit_a_class(name: str) -> None:
    network = build_network(f"torchvision:{name}", 7).eval()
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


def test_torchvision_network_trains_with_logits_alone() -> None:
    logits = build_network("torchvision:googlenet", 3).train()(torch.zeros(2, 3, 64, 64))
    assert isinstance(logits, torch.Tensor)


def test_own_network_comes_from_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from torch import nn\ndef tiny(n): return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, n))\n"
    (tmp_path / "my_networks.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    network = build_network("my_networks:tiny", 4)
    check_input(network, "my_networks:tiny", 8, 4)
    assert count_parameters(network) == 3 * 8 * 8 * 4 + 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vgg", "'vgg' does not exist: choose one of resnet, cnn, torchvision:NAME"),
        ("torchvision:resnet19", "no classifier 'resnet19': did you mean one of .*resnet18"),
        ("torchvision:deeplabv3_resnet50", "torchvision has no classifier"),
        ("nowhere:tiny", "'nowhere:tiny' can't be imported"),
        ("os:tiny", "'os:tiny' can't be imported"),
        ("builtins:str", "'builtins:str' gave str, and must give a torch.nn.Module"),
    ],
)
def test_unknown_network_is_one_sentence(name: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        build_network(name, 3)


@pytest.mark.parametrize(("name", "side"), [("cnn", 32), ("torchvision:densenet121", 16)])
def test_size_that_a_network_does_not_take_is_refused(name: str, side: int) -> None:
    with pytest.raises(NetworkError, match=f"does not take pictures of {side} x {side} pixels .*--size"):
        check_input(build_network(name, 3), name, side, 3)


def test_network_without_a_logit_a_class_is_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5))
    with pytest.raises(
        NetworkError, match=r"gives \(2, 5\) for 2 pictures, and must give logits of \(2, 3\)"
    ):
        check_input(network, "own", 8, 3)


def test_frozen_network_is_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 3)).requires_grad_(requires_grad=False)
    with pytest.raises(NetworkError, match="has nothing to train"):
        check_input(network, "own", 8, 3)
