"""A batch of uint8 pictures in, the same batch flipped and shifted at random out."""

import torch
from torch import Tensor


def augment(images: Tensor, flip: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Mirror some pictures and shift each by up to `padding` pixels, edges reflected.

    One gather does both, so that a batch is copied once.

    Args:
        images: uint8 (N, side, side, 3).
        flip: bool (N,), the pictures to mirror.
        padding: the largest shift in pixels, less than the side.
        generator: where the shifts come from.

    Returns:
        A new tensor of the same shape and type.
    """
    count, side = images.shape[:2]
    shifts = torch.randint(-padding, padding + 1, (2, count, 1), generator=generator)
    positions = torch.arange(side)
    rows = _reflect(positions + shifts[0], side)  # (N, side)
    columns = _reflect(positions + shifts[1], side)
    columns = torch.where(flip[:, None], columns.flip(1), columns)
    return images[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def alternating_flips(first: Tensor, epoch: int) -> Tensor:
    """Which pictures to mirror in this epoch: each every other time, so that two epochs show both sides.

    From K. Jordan, arXiv 2404.00498, section 3.6.

    Args:
        first: bool (N,), the pictures mirrored in epoch 0, drawn once.
        epoch: from 0.
    """
    return first ^ bool(epoch % 2)


def _reflect(indices: Tensor, side: int) -> Tensor:
    last = side - 1
    return last - (last - indices.abs()).abs()
