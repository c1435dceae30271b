import csv
import io

import pytest
import torch

from train.data import Pixels
from train.evaluation import class_figures, class_table, confusion_matrix, worst_mistakes

NAMES = ("cat", "dog, small", "emu")
# True 0: right, right, called 1. True 1: called 0. Nothing is 2.
LOGITS = torch.tensor([[5.0, 0, 0], [1, 0, 0], [0, 2, 0], [9, 0, 0]])
LABELS = torch.tensor([0, 0, 0, 1])


def test_confusion_has_a_row_a_class_and_a_column_an_answer() -> None:
    assert confusion_matrix(LOGITS, LABELS).tolist() == [[2, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_class_figures_are_the_textbook_ones() -> None:
    cat, dog, emu = class_figures(confusion_matrix(LOGITS, LABELS), NAMES)
    assert (cat.precision, cat.recall, cat.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (dog.precision, dog.recall, dog.f1, dog.pictures) == (0, 0, 0, 1)
    assert (emu.precision, emu.recall, emu.pictures) == (0, 0, 0)


def test_class_table_starts_with_the_class_that_is_found_least() -> None:
    table = class_table(class_figures(confusion_matrix(LOGITS, LABELS), NAMES)).decode()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["class"] for row in rows] == ["dog, small", "emu", "cat"]
    assert (rows[2]["recall"], rows[2]["pictures"]) == ("0.6667", "3")


def test_worst_mistakes_come_first_and_name_their_picture() -> None:
    images = torch.arange(5, dtype=torch.uint8).reshape(5, 1, 1, 1).expand(5, 2, 2, 3)
    names = [f"{index}.png" for index in range(5)]
    pixels = Pixels(images, torch.tensor([1, 2, 3, 4]), LABELS, names)
    worst, second = worst_mistakes(LOGITS, pixels, NAMES)
    assert (worst.picture, worst.truth, worst.answer) == ("4.png", "dog, small", "cat")
    assert worst.image.unique().tolist() == [4]
    assert worst.confidence > second.confidence
    assert [one.picture for one in worst_mistakes(LOGITS, pixels, NAMES, count=1)] == ["4.png"]
