"""A batch of uint8 pictures in, the same batch flipped, shifted and holed at random out."""

import torch
from torch import Tensor

from train.preprocess import PIXEL_MEAN


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


def cut_out(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Blank a square of `side` pixels at a random place of each picture (arXiv 1708.04552).

    Args:
        images: uint8 (N, height, width, 3).
        side: of the square, which may hang over an edge.
        generator: where the places come from.

    Returns:
        A new tensor of the same shape and type; blank is what normalisation turns into 0.
    """
    count, height, width = images.shape[:3]
    top, left = (
        torch.randint(1 - side, length, (count, 1), generator=generator) for length in (height, width)
    )
    rows, columns = torch.arange(height), torch.arange(width)
    in_rows = (rows >= top) & (rows < top + side)  # (N, height)
    in_columns = (columns >= left) & (columns < left + side)
    hole = in_rows[:, :, None, None] & in_columns[:, None, :, None]
    return images.masked_fill(hole, round(PIXEL_MEAN))


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
