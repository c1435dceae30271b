"""Decoded pictures and a recipe in, a trained network out."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from train.batches import draw_batches
from train.data import Pixels
from train.hardware import Hardware, find_hardware
from train.learner import Learner
from train.parallel import ALONE, Parallel
from train.preprocess import Normalize
from train.recipes import Recipe
from train.teacher import Teacher

# Pictures evaluated at once: enough to be fast, few enough for the activations of large ones to fit.
_MOST_EVALUATED = 500
_PIXELS_EVALUATED = 4_000_000


class TrainingError(Exception):
    """Training can't go on; the message says what to try."""


@dataclass(frozen=True)
class EpochResult:
    """What one epoch gave; shares are 0..1, the loss is in nats."""

    epoch: int  # from 1
    side: int
    loss: float
    train_accuracy: float  # on augmented pictures, while the weights moved
    held_out_accuracy: float  # of the averaged weights
    learning_rate: float  # of the epoch's last step
    images_per_second: float  # of training, without the evaluation
    seconds: float


@dataclass(frozen=True)
class Progress:
    """How far training had come when it stopped: whole epochs, and the learner's tensors after them."""

    epochs: int
    tensors: Mapping[str, Tensor]


def fit(
    model: nn.Module,
    recipe: Recipe,
    train: Pixels,
    held_out: Pixels,
    seed: int,
    on_epoch: Callable[[EpochResult, Learner], None],
    *,
    classes: int,
    teacher: Teacher | None = None,
    resume: Progress | None = None,
    parallel: Parallel = ALONE,
) -> None:
    """Train `model`; after each epoch hand its result and the learner to `on_epoch`.

    A learning rate that warms up and falls linearly to 0, and an exponential average of the weights. All
    chance in an epoch comes from the seed and the epoch's number, so that a run which goes on after an
    interruption ends with the very weights of one that was never interrupted.

    Args:
        model: with the weights to start from.
        recipe: fitted to the number of training pictures, so that no batch is larger than that.
        train: what the network learns from.
        held_out: what each epoch is judged on.
        seed: of shuffling and augmentation.
        on_epoch: called after each epoch, in the first process only.
        classes: columns of the model's logits, whichever of the classes `train` has.
        teacher: whose answers are learned beside the labels, in the epochs of full-sized pictures.
        resume: where to go on.
        parallel: with whom; `recipe`'s batch is that of all processes together.

    Raises:
        TrainingError: the loss stopped being finite.
    """
    hardware = find_hardware()
    steps_per_epoch = len(train) // recipe.batch_size
    learner = Learner(model, recipe, steps_per_epoch * recipe.epochs, hardware, parallel)
    done = 0
    if resume:
        learner.restore(resume.tensors)
        done = resume.epochs
    first_flips = torch.rand(len(train), generator=torch.Generator().manual_seed(seed)) < 0.5

    with _progress_bar(recipe, steps_per_epoch, done, shown=parallel.is_first) as bar:
        for epoch, side in list(enumerate(recipe.sides))[done:]:
            bar.set_description(f"epoch {epoch + 1}/{recipe.epochs}")
            started = time.perf_counter()
            torch.manual_seed(_epoch_seed(seed, epoch) + parallel.rank)  # dropout's
            generator = torch.Generator().manual_seed(_epoch_seed(seed, epoch))
            batches = draw_batches(
                *(train, classes, recipe, epoch, first_flips, generator), device=hardware.device
            )
            ours = ((parallel.share(images), parallel.share(targets)) for images, targets in batches)
            sums = train_one_epoch(learner, ours, side, recipe, hardware, bar, teacher=teacher)
            loss, correct, seen = parallel.total(*sums)
            trained = time.perf_counter()
            if not parallel.is_first:
                continue
            result = EpochResult(
                epoch=epoch + 1,
                side=side,
                loss=loss / seen,
                train_accuracy=correct / seen,
                held_out_accuracy=evaluate(learner.average.module, held_out, hardware),
                learning_rate=learner.learning_rate,
                images_per_second=seen / (trained - started),
                seconds=time.perf_counter() - started,
            )
            on_epoch(result, learner)


def train_one_epoch(
    learner: Learner,
    batches: Iterator[tuple[Tensor, Tensor]],
    side: int,
    recipe: Recipe,
    hardware: Hardware,
    bar: "tqdm[NoReturn]",
    *,
    teacher: Teacher | None = None,
) -> tuple[float, int, int]:
    """One pass over `batches` at `side` pixels; the summed loss, the right answers and the pictures.

    Of a mixed picture, the class that most of it shows is right.
    """
    taught_by = teacher if side == recipe.input_side else None  # teachers know no smaller pictures
    learner.model.train()
    normalize = Normalize()
    total_loss, correct, seen = 0.0, 0, 0
    for images, targets in batches:
        labels = targets.argmax(1)
        inputs = _shrink(normalize(images), side)  # (N, 3, side, side)
        with hardware.autocast():
            logits = learner.wrapped(inputs)
        answers = taught_by.probabilities(inputs) if taught_by else None
        loss = _loss(logits, targets, answers, recipe)
        rate = learner.learning_rate
        learner.learn(loss)

        total_loss += loss.item() * len(labels)
        correct += int((logits.argmax(1) == labels).sum())
        seen += len(labels)
        if not math.isfinite(total_loss):
            raise TrainingError(
                f"the loss became {loss.item()} at a learning rate of {rate:.3g}: "
                "start again with a lower --learning-rate-scale, such as 0.3"
            )
        figures = {
            "loss": f"{total_loss / seen:.3f}",
            "accuracy": f"{correct / seen:.2%}",
            "lr": f"{rate:.3g}",
        }
        bar.set_postfix(figures, refresh=False)
        bar.update(recipe.batch_size * (side / recipe.input_side) ** 2)
    return total_loss, correct, seen


@torch.inference_mode()
def predict(model: nn.Module, pixels: Pixels, hardware: Hardware) -> Tensor:
    """Logits, float32 (N, classes) on the CPU."""
    model.eval()
    normalize = Normalize()
    size = max(1, min(_MOST_EVALUATED, _PIXELS_EVALUATED // pixels.images[0, :, :, 0].numel()))
    parts = []
    for images, _ in pixels.batches(size):
        with hardware.autocast():
            parts.append(model(normalize(images.to(hardware.device))).float().cpu())
    return torch.cat(parts)


def evaluate(model: nn.Module, pixels: Pixels, hardware: Hardware) -> float:
    """The share of pictures, 0..1, whose largest logit is their label's."""
    return float((predict(model, pixels, hardware).argmax(1) == pixels.labels).float().mean())


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _loss(logits: Tensor, targets: Tensor, answers: Tensor | None, recipe: Recipe) -> Tensor:
    """Cross-entropy against what the labels say and, where a teacher answered, against its answers."""
    loss = F.cross_entropy(logits.float(), targets, label_smoothing=recipe.label_smoothing)
    if answers is None:
        return loss
    return torch.lerp(loss, F.cross_entropy(logits.float(), answers), recipe.taught)


def _shrink(inputs: Tensor, side: int) -> Tensor:
    if inputs.shape[-1] == side:
        return inputs
    return F.interpolate(inputs, (side, side), mode="bilinear", antialias=True)


def _progress_bar(recipe: Recipe, steps_per_epoch: int, done: int, *, shown: bool) -> "tqdm[NoReturn]":
    # Counted in pictures of full size, so that the time left is right although early epochs are cheaper.
    pictures = steps_per_epoch * recipe.batch_size
    return tqdm(
        total=pictures * sum(recipe.costs),
        initial=pictures * sum(recipe.costs[:done]),
        unit="img",
        unit_scale=True,
        disable=None if shown else True,
    )
