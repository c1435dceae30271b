import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from train.data import Dataset, load_dataset
from train.hardware import find_hardware
from train.learner import Learner
from train.loop import EpochResult, TrainingError, evaluate, fit, predict
from train.networks import build_network
from train.recipes import Recipe, Stage
from train.sources import list_pictures
from train.teacher import Teacher

RECIPE = Recipe(
    input_side=16,
    stages=(Stage(2, 0.75), Stage(4)),
    batch_size=16,
    optimizer="muon",
    turning_rate=0.02,
    learning_rate=0.05,
    weight_decay=5e-4,
    average_every=1,
    average_decay=0.5,
)


@pytest.fixture(scope="module")
def dataset(shapes: Path, cache: Path) -> Dataset:
    return load_dataset(list_pictures(str(shapes)), 16, 0, cache)


def train(
    recipe: Recipe, dataset: Dataset, teacher: Teacher | None = None
) -> tuple[list[EpochResult], nn.Module]:
    results: list[EpochResult] = []
    models: list[nn.Module] = []

    def on_epoch(result: EpochResult, learner: Learner) -> None:
        results.append(result)
        models.append(learner.average.module)

    torch.manual_seed(0)
    fit(
        *(build_network("resnet", 3), recipe, dataset.train, dataset.test, 0, on_epoch),
        classes=3,
        teacher=teacher,
    )
    return results, models[-1]


class AlwaysLast(nn.Module):
    """A teacher that is sure of the last class, whatever it is shown."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.new_tensor([0.0, 0.0, 20.0]).expand(len(inputs), -1)


def test_network_learns(dataset: Dataset) -> None:
    results, model = train(RECIPE, dataset)
    assert [(result.epoch, result.side) for result in results] == [
        (1, 12),
        (2, 12),
        (3, 16),
        (4, 16),
        (5, 16),
        (6, 16),
    ]
    assert results[-1].loss < results[0].loss
    assert evaluate(model, dataset.test, find_hardware()) >= 0.6


def test_same_seed_gives_the_same_weights(dataset: Dataset) -> None:
    recipe = dataclasses.replace(RECIPE, stages=(Stage(1),))
    (_, first), (_, second) = train(recipe, dataset), train(recipe, dataset)
    assert all(
        torch.equal(one, other)
        for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_loss_that_is_not_finite_stops_with_advice(dataset: Dataset) -> None:
    hot = dataclasses.replace(RECIPE, optimizer="sgd", learning_rate=1e30)
    with pytest.raises(TrainingError, match="a lower --learning-rate-scale"):
        train(hot, dataset)


def test_predictions_do_not_depend_on_the_other_pictures(dataset: Dataset) -> None:
    _, model = train(dataclasses.replace(RECIPE, stages=(Stage(1),)), dataset)
    hardware = dataclasses.replace(find_hardware(), bfloat16=False)
    together = predict(model, dataset.test, hardware)
    alone = dataclasses.replace(
        dataset.test, indices=dataset.test.indices[:1], labels=dataset.test.labels[:1]
    )
    torch.testing.assert_close(together[:1], predict(model, alone, hardware), atol=1e-4, rtol=1e-4)


def test_student_learns_what_its_teacher_says(dataset: Dataset) -> None:
    recipe = dataclasses.replace(RECIPE, stages=(Stage(4),), taught=1.0)
    _, model = train(recipe, dataset, Teacher([AlwaysLast()], find_hardware()))
    assert set(predict(model, dataset.test, find_hardware()).argmax(1).tolist()) == {2}


def test_teacher_is_asked_about_pictures_of_full_size_only(dataset: Dataset) -> None:
    alone, _ = train(RECIPE, dataset)
    taught, _ = train(RECIPE, dataset, Teacher([AlwaysLast()], find_hardware()))
    losses = [(one.loss, other.loss) for one, other in zip(alone, taught, strict=True)]
    assert [one == other for one, other in losses] == [True, True, False, False, False, False]
