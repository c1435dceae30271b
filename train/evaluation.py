"""Logits and labels in; what went right and wrong, class by class and picture by picture, out."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from train.data import Pixels


@dataclass(frozen=True)
class ClassFigures:
    """How well one class is told from the others; shares are 0..1, and 0 where nothing could be right."""

    name: str
    precision: float  # of the pictures called so, those that are
    recall: float  # of the pictures that are, those called so
    f1: float
    pictures: int


@dataclass(frozen=True)
class Mistake:
    """A wrong answer; the image is uint8 (side, side, 3)."""

    image: Tensor
    picture: str
    truth: str
    answer: str
    confidence: float


def confusion_matrix(logits: Tensor, labels: Tensor) -> Tensor:
    """Counts, int64 (classes, classes): a row for each true class, a column for each answer."""
    classes = logits.shape[1]
    counts = torch.bincount(labels * classes + logits.argmax(1), minlength=classes * classes)
    return counts.reshape(classes, classes)


def class_figures(confusion: Tensor, class_names: Sequence[str]) -> list[ClassFigures]:
    """Precision, recall and F1 of each class."""
    right = confusion.diagonal().double()
    precision = right / confusion.sum(0).clamp(min=1)
    recall = right / confusion.sum(1).clamp(min=1)
    f1 = 2 * right / (confusion.sum(0) + confusion.sum(1)).clamp(min=1)
    columns = zip(
        class_names, precision.tolist(), recall.tolist(), f1.tolist(), confusion.sum(1).tolist(), strict=True
    )
    return [ClassFigures(*column) for column in columns]


def class_table(figures: Sequence[ClassFigures]) -> bytes:
    """As a CSV file, the class that is found least first."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["class", "precision", "recall", "f1", "pictures"])
    for one in sorted(figures, key=lambda one: (one.recall, one.name)):
        shares = [f"{share:.4f}" for share in (one.precision, one.recall, one.f1)]
        writer.writerow([one.name, *shares, one.pictures])
    return buffer.getvalue().encode()


def worst_mistakes(
    logits: Tensor, pixels: Pixels, class_names: Sequence[str], count: int = 25
) -> list[Mistake]:
    """The wrong answers given with most confidence, at most `count`: often it is the label that is wrong."""
    confidence, answers = logits.softmax(1).max(1)
    wrong = (answers != pixels.labels).nonzero().flatten()
    worst = wrong[confidence[wrong].argsort(descending=True, stable=True)][:count]
    images, labels = pixels.take(worst)
    return [
        Mistake(
            image=image,
            picture=pixels.name(position),
            truth=class_names[label],
            answer=class_names[int(answers[position])],
            confidence=float(confidence[position]),
        )
        for image, label, position in zip(images, labels.tolist(), worst.tolist(), strict=True)
    ]
