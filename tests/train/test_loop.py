import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from train.data import Pixels, decode_samples, open_dataset
from train.hardware import find_hardware
from train.learner import Learner
from train.loop import EpochResult, TrainingError, evaluate, fit, predict
from train.models import build_model
from train.recipes import Recipe, Stage

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
def pixels(shapes: Path) -> tuple[Pixels, Pixels]:
    dataset = open_dataset(str(shapes))
    return decode_samples(dataset.train, 16, "train"), decode_samples(dataset.test, 16, "test")


def train(recipe: Recipe, pixels: tuple[Pixels, Pixels]) -> tuple[list[EpochResult], nn.Module]:
    results: list[EpochResult] = []
    models: list[nn.Module] = []

    def on_epoch(result: EpochResult, learner: Learner) -> None:
        results.append(result)
        models.append(learner.average.module)

    torch.manual_seed(0)
    fit(build_model("resnet", 3), recipe, *pixels, seed=0, on_epoch=on_epoch)
    return results, models[-1]


def test_network_learns(pixels: tuple[Pixels, Pixels]) -> None:
    results, model = train(RECIPE, pixels)
    assert [(result.epoch, result.side) for result in results] == [
        (1, 12),
        (2, 12),
        (3, 16),
        (4, 16),
        (5, 16),
        (6, 16),
    ]
    assert results[-1].loss < results[0].loss
    assert evaluate(model, pixels[1], find_hardware()) >= 0.6


def test_same_seed_gives_the_same_weights(pixels: tuple[Pixels, Pixels]) -> None:
    recipe = dataclasses.replace(RECIPE, stages=(Stage(1),))
    (_, first), (_, second) = train(recipe, pixels), train(recipe, pixels)
    assert all(
        torch.equal(one, other)
        for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_loss_that_is_not_finite_stops_with_advice(pixels: tuple[Pixels, Pixels]) -> None:
    hot = dataclasses.replace(RECIPE, optimizer="sgd", learning_rate=1e30)
    with pytest.raises(TrainingError, match="lower the recipe's learning_rate"):
        train(hot, pixels)


def test_predictions_do_not_depend_on_the_other_pictures(pixels: tuple[Pixels, Pixels]) -> None:
    _, model = train(dataclasses.replace(RECIPE, stages=(Stage(1),)), pixels)
    hardware = dataclasses.replace(find_hardware(), bfloat16=False)
    images = pixels[1].images
    together = predict(model, images, hardware)
    torch.testing.assert_close(together[:1], predict(model, images[:1], hardware), atol=1e-4, rtol=1e-4)
