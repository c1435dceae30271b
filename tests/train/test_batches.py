import dataclasses

import pytest
import torch

from train.batches import _draw_evenly, draw_batches
from train.data import Pixels
from train.recipes import Recipe, Stage

RECIPE = Recipe(
    input_side=8,
    stages=(Stage(10),),
    batch_size=16,
    optimizer="sgd",
    learning_rate=0.1,
    weight_decay=0,
    cutmix=1,
    mixed=0.8,
)
LABELS = torch.arange(40) % 3


def draw(recipe: Recipe, epoch: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """The images and targets of an epoch over 40 plain pictures, each of its label's value."""
    images = LABELS.to(torch.uint8)[:, None, None, None].expand(-1, 8, 8, 3)
    pixels = Pixels(images, torch.arange(40), LABELS, [""] * 40)
    flips = torch.zeros(40, dtype=torch.bool)
    generator = torch.Generator().manual_seed(seed)
    drawn = list(draw_batches(pixels, 5, recipe, epoch, flips, generator, device=torch.device("cpu")))
    assert [len(images) for images, _ in drawn] == [16, 16]
    return torch.cat([images for images, _ in drawn]), torch.cat([targets for _, targets in drawn])


@pytest.mark.parametrize("epoch", [0, 9])
def test_targets_have_a_column_for_every_class_and_sum_to_one(epoch: int) -> None:
    _, targets = draw(RECIPE, epoch)
    assert targets.shape == (32, 5)
    torch.testing.assert_close(targets.sum(1), torch.ones(32))


def test_targets_say_what_the_pictures_show() -> None:
    images, targets = draw(RECIPE, 0)
    shown = torch.stack([(images == label).float().mean((1, 2, 3)) for label in range(5)], dim=1)
    torch.testing.assert_close(targets, shown)


@pytest.mark.parametrize(("epoch", "mixes"), [(0, True), (7, True), (8, False), (9, False)])
def test_last_epochs_see_whole_pictures(epoch: int, mixes: bool) -> None:
    _, targets = draw(RECIPE, epoch)
    assert bool((targets.max(1).values < 1).any()) == mixes


def test_recipe_without_mixing_gives_whole_pictures_from_the_first_epoch() -> None:
    _, targets = draw(dataclasses.replace(RECIPE, cutmix=0), 0)
    assert targets.unique().tolist() == [0, 1]


def test_balance_draws_rare_classes_as_often_as_common_ones() -> None:
    labels = torch.tensor([0] * 900 + [2] * 95 + [1] * 5)[torch.randperm(1000)]
    drawn = _draw_evenly(labels, torch.Generator().manual_seed(0))
    assert len(drawn) == 1000
    assert all(280 < count < 390 for count in torch.bincount(labels[drawn]).tolist())
    assert {position for position in drawn.tolist() if labels[position] == 1} == set(
        (labels == 1).nonzero().flatten().tolist()
    )
