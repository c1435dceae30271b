import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.support import newest
from train.checkpoint import FILE_NAME, Checkpoint, CheckpointError, Facts, load_checkpoint, save_checkpoint
from train.hardware import find_hardware
from train.networks import build_network
from train.teacher import Teacher, load_teacher

NAMES = ("cat", "dog", "owl")
FACTS = Facts(
    network="tests.support:tiny_network",
    class_names=NAMES,
    input_side=16,
    data_name="pets",
    data_sha256="0" * 64,
    split_seed=0,
    seed=0,
    recipe={},
    held_out_accuracy=0.5,
    git_commit="unknown",
    versions={},
)
INPUTS = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Fixed(nn.Module):
    """Answers the same logits to every picture, and others while it is not in evaluation."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(inputs), -1) * (2 if self.training else 1)


def write(folder: Path, change: Callable[[Checkpoint], Checkpoint] = lambda one: one) -> Path:
    """A folder with a network that may teach, but for the change."""
    weights = build_network(FACTS.network, len(NAMES)).state_dict()
    folder.mkdir()
    save_checkpoint(change(Checkpoint(weights, FACTS)), folder / FILE_NAME)
    return folder


def told(**facts: object) -> Callable[[Checkpoint], Checkpoint]:
    return lambda one: Checkpoint(one.weights, dataclasses.replace(one.facts, **facts))


def without_the_last_layer(one: Checkpoint) -> Checkpoint:
    return Checkpoint({name: one.weights[name] for name in list(one.weights)[:-2]}, one.facts)


def of_another_size(one: Checkpoint) -> Checkpoint:
    weights = build_network("cnn", len(NAMES)).state_dict()
    return Checkpoint(weights, dataclasses.replace(one.facts, network="cnn"))


def test_teacher_gives_the_mean_of_its_networks_probabilities() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 3.0, 0.0]])
    teacher = Teacher([Fixed(*row.tolist()).train() for row in logits], find_hardware())
    answers = teacher.probabilities(INPUTS.to(find_hardware().device)).cpu()
    assert answers.dtype == torch.float32
    torch.testing.assert_close(answers, logits.softmax(1).mean(0).expand(4, -1))


def test_answers_take_part_in_a_loss_and_leave_the_teacher_as_it_is() -> None:
    network = Fixed(1.0, 0.0, 0.0)
    answers = Teacher([network], find_hardware()).probabilities(INPUTS.to(find_hardware().device))
    logits = torch.zeros_like(answers, requires_grad=True)
    nn.functional.cross_entropy(logits, answers).backward()
    assert logits.grad is not None
    assert network.logits.grad is None


def test_trained_network_may_teach(tmp_path: Path) -> None:
    assert load_teacher(write(tmp_path / "run"), NAMES, 16).facts == FACTS


def test_bundle_may_teach(artifacts: Path) -> None:
    bundle = newest(artifacts / "resnet")
    facts = load_checkpoint(bundle / FILE_NAME).facts
    assert load_teacher(bundle, facts.class_names, facts.input_side).facts == facts


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            told(class_names=("cat", "owl", "dog")),
            r"has learned other classes .* \(class 2 is 'owl' there, and 'dog' here\): name one that learned",
        ),
        (told(class_names=("cat", "dog")), r"\(class 3 is nothing there, and 'owl' here\)"),
        (told(class_names=(*NAMES, "yak")), r"\(class 4 is 'yak' there, and nothing here\)"),
        (
            told(input_side=32),
            "takes pictures of 32 x 32 pixels, and this run has 16 x 16: .* or train with --size 32",
        ),
        (without_the_last_layer, "can't be used: the weights do not fit network"),
        (told(network="no.such:network"), "can't be used: network 'no.such:network' can't be imported"),
        (of_another_size, "can't be used: network 'cnn' does not take pictures of 16 x 16 pixels"),
    ],
)
def test_network_that_can_not_teach_says_why(
    change: Callable[[Checkpoint], Checkpoint], message: str, tmp_path: Path
) -> None:
    folder = write(tmp_path / "run", change)
    with pytest.raises(CheckpointError, match=f"^teacher '{folder}' .*{message}"):
        load_teacher(folder, NAMES, 16)


def test_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"teacher '{tmp_path}' holds no checkpoint.safetensors"):
        load_teacher(tmp_path, NAMES, 16)


def test_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no")
    with pytest.raises(CheckpointError, match="is not a checkpoint of Glimpse, or broken"):
        load_teacher(tmp_path, NAMES, 16)
