"""A batch of uint8 pictures in, the same batch flipped, shifted, holed and mixed at random out."""

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
    places = torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]
    return images[tuple(place.to(images.device) for place in places)]


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
    in_rows = ((rows >= top) & (rows < top + side)).to(images.device)  # (N, height)
    in_columns = ((columns >= left) & (columns < left + side)).to(images.device)
    hole = in_rows[:, :, None, None] & in_columns[:, None, :, None]
    return images.masked_fill(hole, round(PIXEL_MEAN))


def cut_mix(
    images: Tensor, targets: Tensor, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of the batch's picture before it into some pictures (CutMix, arXiv 1905.04899).

    The rectangle has the shape of the picture and any area up to all of it, and lies anywhere; what hangs
    over an edge is lost. A picture's target is mixed from both as its pixels are.

    Args:
        images: uint8 (N, height, width, 3).
        targets: float (N, classes), the probabilities to learn.
        share: 0..1, of the pictures that get a rectangle.
        generator: where choices, sizes and places come from.

    Returns:
        New tensors of the same shapes and types.
    """
    count, height, width = images.shape[:3]
    chosen, area, middle_row, middle_column = torch.rand(4, count, 1, generator=generator)
    half = area.sqrt() / 2 * (chosen < share)
    rows, columns = (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width
    in_rows = ((rows - middle_row).abs() < half).to(images.device)  # (N, height)
    in_columns = ((columns - middle_column).abs() < half).to(images.device)
    pasted = in_rows[:, :, None, None] & in_columns[:, None, :, None]
    mixed = (in_rows.float().mean(1) * in_columns.float().mean(1))[:, None]  # (N, 1), share of the pixels
    return (
        torch.where(pasted, images.roll(1, 0), images),
        (1 - mixed) * targets + mixed * targets.roll(1, 0),
    )


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
