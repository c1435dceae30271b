"""A network's name in, an untrained network out: ours, torchvision's, or a user's own."""

import difflib
import importlib
from collections.abc import Callable

import torch
from torch import nn

from train.models import ResNet, SmallCNN
from train.torchvision_compat import import_torchvision

TORCHVISION = "torchvision:"
OURS: dict[str, Callable[[int, float], nn.Module]] = {
    "resnet": ResNet,
    "cnn": lambda num_classes, _dropout: SmallCNN(num_classes),
}
# These two answer with side outputs while they train, unless told not to.
_WITH_SIDE_OUTPUTS = {"googlenet", "inception_v3"}


class NetworkError(Exception):
    """There is no such network, or it does not fit the pictures; the message says what to choose."""


def build_network(name: str, num_classes: int, dropout: float = 0.0) -> nn.Module:
    """Build an untrained network.

    Args:
        name: `resnet`, `cnn`, `torchvision:NAME` for a classifier of torchvision, or `module:factory` for
            one's own, called with the number of classes.
        num_classes: columns of the logits.
        dropout: share of the last features dropped in training; only our resnet takes it.

    Raises:
        NetworkError: there is no such network.
    """
    if name in OURS:
        return OURS[name](num_classes, dropout)
    if name.startswith(TORCHVISION):
        return _build_torchvision(name.removeprefix(TORCHVISION), num_classes)
    module, separator, factory = name.partition(":")
    if not separator:
        raise NetworkError(
            f"network {name!r} does not exist: choose one of {', '.join(OURS)}, torchvision:NAME, "
            "or your own by MODULE:FACTORY"
        )
    return _build_own(module, factory, num_classes)


def check_input(network: nn.Module, name: str, side: int, num_classes: int) -> None:
    """Send two black pictures through and a gradient back, to fail before any work is done.

    Raises:
        NetworkError: the network does not take pictures of that size, does not give one logit a class, or
            has nothing to train.
    """
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(2, 3, side, side))
        logits = network.train()(torch.zeros(2, 3, side, side))
    except Exception as error:  # one's own network may fail in any way
        reason = _first_line(error)
        raise NetworkError(
            f"network {name!r} does not take pictures of {side} x {side} pixels ({reason}): "
            "choose another --size"
        ) from error
    shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if shape != (2, num_classes):
        raise NetworkError(
            f"network {name!r} gives {shape} for 2 pictures, and must give logits of (2, {num_classes})"
        )
    if not logits.requires_grad:
        raise NetworkError(f"network {name!r} has nothing to train: set requires_grad of some parameters")


def count_parameters(network: nn.Module) -> int:
    """How many numbers training adjusts."""
    return sum(parameter.numel() for parameter in network.parameters())


def _build_torchvision(name: str, num_classes: int) -> nn.Module:
    import_torchvision()
    from torchvision import models  # noqa: PLC0415 - it needs the line above

    known = models.list_models(module=models)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3) or known[:3]
        raise NetworkError(f"torchvision has no classifier {name!r}: did you mean one of {', '.join(near)}?")
    options = {"aux_logits": False, "init_weights": True} if name in _WITH_SIDE_OUTPUTS else {}
    network: nn.Module = models.get_model(name, weights=None, num_classes=num_classes, **options)
    return network


def _build_own(module: str, factory: str, num_classes: int) -> nn.Module:
    try:
        build = getattr(importlib.import_module(module), factory)
    except Exception as error:  # importing runs a stranger's code
        raise NetworkError(
            f"network '{module}:{factory}' can't be imported ({_first_line(error)}): name a module that "
            "Python finds from here, and a function in it that takes the number of classes"
        ) from error
    try:
        network = build(num_classes)
    except Exception as error:  # as above
        raise NetworkError(
            f"'{module}:{factory}' can't be called with the number of classes, {num_classes}: "
            f"{_first_line(error)}"
        ) from error
    if not isinstance(network, nn.Module):
        raise NetworkError(
            f"'{module}:{factory}' gave {type(network).__name__}, and must give a torch.nn.Module"
        )
    return network


def _first_line(error: Exception) -> str:
    text = str(error)
    return text.splitlines()[0] if text else type(error).__name__
