"""A run's figures in, pictures of them as PNG bytes out."""

import io
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePath

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from torch import Tensor

from train.evaluation import Mistake
from train.loop import EpochResult

_MOST_NAMED = 40  # classes whose names still fit beside a confusion matrix
_MOST_DRAWN = 100
_NUMBERED = 20
_LONGEST_NAME = 22
# Fonts that know more scripts than Matplotlib's own; those that are installed are used.
_WIDE_FONTS = (
    "Noto Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "WenQuanYi",
    "Unifont",
    "Arial Unicode MS",
)


@contextmanager
def _style() -> Iterator[None]:
    """Fonts for many scripts; a letter that none has is drawn as a box, which needs no warning a letter."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in _WIDE_FONTS if name in installed)]
    with mpl.rc_context({"font.family": families}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield


@_style()
def draw_curves(history: Sequence[EpochResult]) -> bytes:
    """Loss, accuracies and learning rate over epochs."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [one.epoch for one in history]
    # The last of equals, as the run keeps it.
    best = max(reversed(history), key=lambda one: one.held_out_accuracy)
    left.plot(epochs, [100 * one.train_accuracy for one in history], label="training, augmented")
    left.plot(epochs, [100 * one.held_out_accuracy for one in history], label="held out, averaged weights")
    left.plot(best.epoch, 100 * best.held_out_accuracy, "o", color="C1")
    left.set(
        xlabel="epoch", ylabel="accuracy, %", title=f"best: {best.held_out_accuracy:.2%} at {best.epoch}"
    )
    left.legend(loc="lower right")
    right.plot(epochs, [one.loss for one in history], label="training loss")
    right.set(xlabel="epoch", ylabel="loss, nats", ylim=(0, None))
    rates = right.twinx()
    rates.plot(epochs, [one.learning_rate for one in history], color="0.7", label="learning rate")
    rates.set(ylabel="learning rate at the epoch's end", ylim=(0, None))
    for axes in (left, right):
        axes.grid(visible=True, alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return _png(figure)


@_style()
def draw_confusion(confusion: Tensor, class_names: Sequence[str]) -> bytes:
    """A row for each true class, as shares of it; of very many classes those most often mistaken."""
    chosen = _most_mistaken(confusion)
    counts = confusion.numpy()[np.ix_(chosen, chosen)]
    shares = counts / np.maximum(confusion.sum(1).numpy()[chosen, None], 1)
    side = min(14.0, 4 + 0.3 * len(chosen))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    left_out = len(class_names) - len(chosen)
    title = f"test pictures; {left_out} classes with fewer mistakes left out" if left_out else "test pictures"
    axes.set(title=title, ylabel="class", xlabel="answer, % of the class's pictures")
    if len(chosen) <= _MOST_NAMED:
        names = [f"{_short(class_names[index])}  {index}" for index in chosen]
        axes.set_xticks(range(len(chosen)), names, rotation=90)
        axes.set_yticks(range(len(chosen)), names)
    if len(chosen) <= _NUMBERED:
        for row, column in zip(*np.nonzero(counts), strict=True):
            share = shares[row, column]
            axes.text(
                column, row, f"{100 * share:.1f}", ha="center", va="center", fontsize=7,
                color="white" if share > 0.5 else "black",
            )  # fmt: skip
    return _png(figure)


@_style()
def draw_mistakes(mistakes: Sequence[Mistake]) -> bytes:
    """A grid of pictures: what each was taken for, how surely, and what its label says."""
    if not mistakes:
        figure = Figure(figsize=(5, 1.5))
        figure.text(0.5, 0.5, "no mistakes on the held-out pictures", ha="center", va="center")
        return _png(figure, dpi=70)
    columns = min(5, len(mistakes))
    rows = math.ceil(len(mistakes) / columns)
    figure = Figure(figsize=(2.4 * columns, 2.9 * rows), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid:
        axes.axis("off")
    for axes, mistake in zip(grid, mistakes, strict=False):
        axes.imshow(mistake.image.numpy(), interpolation="nearest")
        answer = f"{_short(mistake.answer)} {mistake.confidence:.0%}"
        picture = _short(PurePath(mistake.picture).name)
        axes.set_title(f"{answer}\nlabel: {_short(mistake.truth)}\n{picture}", fontsize=8)
    return _png(figure, dpi=70)


@_style()
def draw_reliability(curves: Mapping[str, tuple[Tensor, Tensor, Tensor]]) -> bytes:
    """Accuracy over confidence: for each named curve the bins' mean confidence, accuracy and count."""
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", label="as sure as right")
    for name, (confidence, accuracy, counts) in curves.items():
        (line,) = axes.plot(confidence.tolist(), accuracy.tolist(), alpha=0.6)
        sizes = (200 * counts / counts.sum()).sqrt() * 6 + 4
        axes.scatter(
            confidence.tolist(), accuracy.tolist(), sizes.tolist(), color=line.get_color(), label=name
        )
    # Room for the whole of the largest points, which lie at 1 where a network is good.
    axes.set(xlabel="confidence", ylabel="accuracy on test", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes.set_title("points grow with the pictures in them", fontsize=9)
    axes.legend(loc="upper left")
    axes.grid(visible=True, alpha=0.3)
    return _png(figure)


def _most_mistaken(confusion: Tensor) -> list[int]:
    """Indices of all classes, ascending; of too many to draw, those with most mistakes in row and column."""
    right = confusion.diagonal()
    mistakes = confusion.sum(0) + confusion.sum(1) - 2 * right
    chosen: list[int] = mistakes.argsort(descending=True, stable=True)[:_MOST_DRAWN].sort().values.tolist()
    return chosen


def _short(name: str) -> str:
    cut = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
    # A dollar sign would start a formula.
    return cut.encode("utf-8", "replace").decode().replace("$", r"\$")


def _png(figure: Figure, dpi: int = 100) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
