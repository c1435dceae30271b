"""Folders of trained networks in, one teacher that answers for all of them out."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import torch
from torch import Tensor, nn

from train.checkpoint import FILE_NAME, Checkpoint, CheckpointError, load_checkpoint
from train.hardware import Hardware
from train.networks import NetworkError, check_input


class Teacher:
    """Some trained networks that answer together, by the mean of their probabilities.

    They see the very pictures that the student sees, mixed and holed ones too (Beyer et al., arXiv
    2106.05237), and are not softened by a temperature: after label smoothing that would lose what they know
    of the other classes (Chandrasegaran et al., arXiv 2206.14532).
    """

    def __init__(self, networks: Sequence[nn.Module], hardware: Hardware) -> None:
        self._hardware = hardware
        on_device = (network.to(hardware.device).eval() for network in networks)
        self._networks = [
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            for network in on_device
        ]

    @torch.no_grad()  # not inference_mode: its tensors can't be kept for the backward pass of the loss
    def probabilities(self, inputs: Tensor) -> Tensor:
        """Of normalised float (N, 3, side, side) on the hardware's device: float32 (N, classes), there."""
        with self._hardware.autocast():
            answers = [network(inputs).float().softmax(1) for network in self._networks]
        return torch.stack(answers).mean(0)


def load_teacher(folder: Path, class_names: Sequence[str], side: int) -> Checkpoint:
    """The trained network in a run's folder or a bundle, as far as it can teach.

    Args:
        folder: with a checkpoint in it.
        class_names: of the student's data, in the order of its labels.
        side: of the student's input, in pixels.

    Raises:
        CheckpointError: there is none, it is broken, or it has learned other classes or another size.
    """
    where = f"teacher {str(folder)!r}"
    if not (folder / FILE_NAME).is_file():
        raise CheckpointError(f"{where} holds no {FILE_NAME}: name the folder of a run, or of a bundle")
    checkpoint = load_checkpoint(folder / FILE_NAME)
    facts = checkpoint.facts
    if facts.class_names != tuple(class_names):
        raise CheckpointError(
            f"{where} has learned other classes than the data has, or in another order "
            f"({_first_difference(facts.class_names, class_names)}): name one that learned these"
        )
    if facts.input_side != side:
        raise CheckpointError(
            f"{where} takes pictures of {facts.input_side} x {facts.input_side} pixels, and this run has "
            f"{side} x {side}: name one of this size, or train with --size {facts.input_side}"
        )
    try:
        check_input(checkpoint.model(), facts.network, side, len(class_names))
    except (CheckpointError, NetworkError) as error:
        raise CheckpointError(f"{where} can't be used: {error}") from error
    return checkpoint


def _first_difference(teachers: Sequence[str], ours: Sequence[str]) -> str:
    pairs = enumerate(zip_longest(teachers, ours), start=1)
    position, (theirs, our) = next((position, pair) for position, pair in pairs if pair[0] != pair[1])
    names = ["nothing" if name is None else repr(name) for name in (theirs, our)]
    return f"class {position} is {names[0]} there, and {names[1]} here"
