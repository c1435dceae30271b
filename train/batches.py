"""Decoded pictures and a recipe in; an epoch's shuffled, augmented batches with their targets out."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from train.augment import alternating_flips, augment, cut_mix, cut_out
from train.data import Pixels
from train.recipes import Recipe


def draw_batches(
    pixels: Pixels,
    classes: int,
    recipe: Recipe,
    epoch: int,
    first_flips: Tensor,
    generator: torch.Generator,
    *,
    device: torch.device,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch; what does not fill a batch is left to the next epoch's shuffle.

    Args:
        pixels: what to draw from.
        classes: how many there are, whichever of them `pixels` has.
        recipe: fitted to the number of pictures.
        epoch: from 0.
        first_flips: bool (N,), the pictures mirrored in epoch 0.
        generator: where all chance comes from; on the CPU, so that every device draws the same.
        device: where pictures are changed, since a GPU does that while the CPU would be in its way.

    Yields:
        On the device, images, uint8 (batch, side, side, 3), and targets, float32 (batch, classes): for each
        picture the probabilities to learn, which sum to 1.
    """
    size = recipe.batch_size
    padding = round(recipe.crop_padding * recipe.input_side)
    hole = round(recipe.cutout * recipe.input_side)
    mix = recipe.cutmix if epoch < recipe.mixed_epochs else 0.0
    flips = alternating_flips(first_flips, epoch)
    order = _draw_evenly(pixels.labels, generator) if recipe.balance else _shuffle(len(pixels), generator)
    for chosen in order[: len(order) - len(order) % size].split(size):
        images, labels = pixels.take(chosen)
        images = augment(images.to(device), flips[chosen], padding, generator)
        images = cut_out(images, hole, generator) if hole else images
        targets = F.one_hot(labels, classes).float().to(device)
        yield cut_mix(images, targets, mix, generator) if mix else (images, targets)


def _shuffle(count: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(count, generator=generator)


def _draw_evenly(labels: Tensor, generator: torch.Generator) -> Tensor:
    """As many positions as there are labels, each class as likely as any other, with repetition."""
    counts = torch.bincount(labels)
    classes = counts.nonzero().flatten()
    drawn = classes[torch.randint(len(classes), labels.shape, generator=generator)]
    # Sorted by label, a class's positions are a run that starts where the smaller labels end.
    starts = counts.cumsum(0) - counts
    within = (torch.rand(labels.shape, generator=generator, dtype=torch.float64) * counts[drawn]).long()
    return labels.argsort(stable=True)[starts[drawn] + within]
