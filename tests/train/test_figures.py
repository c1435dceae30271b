import io

import numpy as np
import pytest
import torch
from PIL import Image

from train.evaluation import Mistake
from train.figures import draw_confusion, draw_curves, draw_mistakes, draw_reliability
from train.loop import EpochResult


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def epoch(number: int, accuracy: float) -> EpochResult:
    return EpochResult(number, 32, 2.0 / number, accuracy, accuracy - 0.1, 0.1, 100.0, 1.0)


def test_curves_show_what_the_epochs_gave() -> None:
    rising = pixels(draw_curves([epoch(1, 0.2), epoch(2, 0.8)]))
    falling = pixels(draw_curves([epoch(1, 0.8), epoch(2, 0.2)]))
    assert rising.shape == falling.shape
    assert not np.array_equal(rising, falling)


def test_curves_of_one_epoch_can_be_drawn() -> None:
    assert pixels(draw_curves([epoch(1, 0.5)])).std() > 0


@pytest.mark.parametrize("classes", [2, 30, 60, 1_000])
def test_confusion_of_any_number_of_classes_stays_of_a_readable_size(classes: int) -> None:
    drawn = pixels(draw_confusion(torch.eye(classes, dtype=torch.int64), [str(i) for i in range(classes)]))
    assert all(300 < side < 1_500 for side in drawn.shape[:2])


def test_names_in_any_script_can_be_drawn() -> None:
    names = ["красная полоса", "青い 輪", "a$b$c", "x" * 80]
    assert pixels(draw_confusion(torch.eye(4, dtype=torch.int64), names)).std() > 0


def test_mistakes_show_the_pictures() -> None:
    red = torch.zeros(8, 8, 3, dtype=torch.uint8)
    red[..., 0] = 255
    drawn = pixels(draw_mistakes([Mistake(red, "folder/фото $1.png", "cat", "dog", 0.97)]))
    assert (drawn == (255, 0, 0)).all(axis=2).mean() > 0.2


def test_no_mistakes_are_said_in_full() -> None:
    drawn = pixels(draw_mistakes([]))
    ink = (drawn < 128).any(axis=2).any(axis=0).nonzero()[0]
    assert ink.size
    assert ink.min() > 5
    assert ink.max() < drawn.shape[1] - 5
    assert np.ptp(ink) > 150


def test_largest_point_of_reliability_is_drawn_whole() -> None:
    """A point of all pictures, at 1 and in the middle: as many of its pixels are to be seen."""

    def blue(at: float) -> int:
        point = torch.tensor([at])
        drawn = pixels(draw_reliability({"after": (point, point, torch.tensor([100]))})).astype(int)
        return int((np.abs(drawn - (31, 119, 180)).sum(axis=2) < 30).sum())

    assert blue(1.0) == pytest.approx(blue(0.5), rel=0.1)
    assert blue(0.0) == pytest.approx(blue(0.5), rel=0.1)
