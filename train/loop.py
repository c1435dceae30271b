"""Decoded pictures and a recipe in, a trained network out."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from train.augment import alternating_flips, augment
from train.data import Pixels
from train.models import build_model
from train.preprocess import Normalize
from train.recipes import Recipe, Stage

logger = logging.getLogger(__name__)

EVALUATION_BATCH = 500


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
    seconds: float


@dataclass(frozen=True)
class Hardware:
    """Where and in which precision to compute."""

    device: torch.device
    bfloat16: bool

    def autocast(self) -> AbstractContextManager[None]:
        """bfloat16 for convolutions and products where the hardware has it, float32 elsewhere."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)


def find_hardware() -> Hardware:
    """A GPU if there is one; bfloat16 only where it is computed and not emulated."""
    if torch.cuda.is_available():
        return Hardware(torch.device("cuda"), torch.cuda.is_bf16_supported())
    return Hardware(torch.device("cpu"), torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001 - no public name yet


class Learner:
    """What a training step changes: the network, its averaged weights, the optimiser's memory, the step."""

    def __init__(self, recipe: Recipe, num_classes: int, total_steps: int, hardware: Hardware) -> None:
        model = build_model(recipe.network, num_classes, recipe.dropout).to(hardware.device)
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = _moving_average(recipe.average_decay)
        self.average = AveragedModel(self.model, avg_fn=average, use_buffers=True)
        groups = _parameter_groups(self.model, recipe.weight_decay)
        self.optimizer = torch.optim.SGD(groups, recipe.learning_rate, recipe.momentum, nesterov=True)
        self.step = 0
        self._rate = _schedule(recipe, total_steps)
        self._average_every = recipe.average_every

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return self._rate(self.step)

    def learn(self, loss: Tensor) -> None:
        """One step down the gradient of `loss`."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.step += 1
        if self.step % self._average_every == 0:
            self.average.update_parameters(self.model)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, by name."""
        named = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        named |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        for index, memory in self.optimizer.state_dict()["state"].items():
            named |= {f"optimizer.{index}.{name}": tensor for name, tensor in memory.items()}
        return named | {"step": torch.tensor(self.step)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` gave, of a learner made from the same recipe."""
        self.model.load_state_dict(_under("model.", tensors))
        self.average.load_state_dict(_under("average.", tensors))
        memory: dict[int, dict[str, Tensor]] = {}
        for key, tensor in _under("optimizer.", tensors).items():
            index, name = key.split(".")
            memory.setdefault(int(index), {})[name] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": memory})
        self.step = int(tensors["step"])


def fit(
    recipe: Recipe,
    num_classes: int,
    train: Pixels,
    held_out: Pixels,
    seed: int,
    on_epoch: Callable[[EpochResult, Learner], None],
    *,
    resume: tuple[int, Mapping[str, Tensor]] | None = None,
) -> None:
    """Train; after each epoch hand its result and the learner to `on_epoch`.

    SGD with Nesterov momentum, a rate that warms up and falls linearly to 0, and an exponential average of
    the weights. All chance in an epoch comes from the seed and the epoch's number, so that a run which goes
    on after an interruption ends with the very weights of one that was never interrupted.

    Args:
        recipe: fitted to the number of training pictures, so that no batch is larger than that.
        num_classes: how many labels there are.
        train: what the network learns from.
        held_out: what each epoch is judged on.
        seed: of weights, shuffling and augmentation.
        on_epoch: called after each epoch.
        resume: how many epochs are done, and the learner's tensors after them.

    Raises:
        TrainingError: the loss stopped being finite.
    """
    hardware = find_hardware()
    torch.manual_seed(seed)
    steps_per_epoch = len(train) // recipe.batch_size
    learner = Learner(recipe, num_classes, steps_per_epoch * recipe.epochs, hardware)
    done, tensors = resume or (0, {})
    if tensors:
        learner.restore(tensors)
    first_flips = torch.rand(len(train), generator=torch.Generator().manual_seed(seed)) < 0.5

    with _progress_bar(recipe, steps_per_epoch, done) as bar:
        for epoch, stage in list(enumerate(_epochs(recipe)))[done:]:
            started = time.perf_counter()
            torch.manual_seed(_epoch_seed(seed, epoch))  # dropout's
            generator = torch.Generator().manual_seed(_epoch_seed(seed, epoch))
            batches = _batches(train, alternating_flips(first_flips, epoch), recipe, generator)
            loss, accuracy = train_one_epoch(learner, batches, stage.side, recipe, hardware, bar)
            held_out_accuracy = evaluate(learner.average.module, held_out, hardware)
            seconds = time.perf_counter() - started
            result = EpochResult(epoch + 1, stage.side, loss, accuracy, held_out_accuracy, seconds)
            on_epoch(result, learner)


def train_one_epoch(
    learner: Learner,
    batches: Iterator[tuple[Tensor, Tensor]],
    side: int,
    recipe: Recipe,
    hardware: Hardware,
    bar: "tqdm[NoReturn]",
) -> tuple[float, float]:
    """One pass over `batches` at `side` pixels; the mean loss and the accuracy, both as training saw them."""
    learner.model.train()
    normalize = Normalize()
    total_loss, correct, seen = 0.0, 0, 0
    for images, cpu_labels in batches:
        labels = cpu_labels.to(hardware.device)
        inputs = _shrink(normalize(images.to(hardware.device)), side)  # (N, 3, side, side)
        with hardware.autocast():
            logits = learner.model(inputs)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
        learner.learn(loss)

        total_loss += loss.item() * len(labels)
        correct += int((logits.argmax(1) == labels).sum())
        seen += len(labels)
        if not math.isfinite(total_loss):
            raise TrainingError(
                f"the loss became {loss.item()} at a learning rate of "
                f"{learner.learning_rate:.3g}: lower the recipe's learning_rate or lengthen its warmup"
            )
        bar.set_postfix(loss=f"{total_loss / seen:.3f}", accuracy=f"{correct / seen:.2%}", refresh=False)
        bar.update(len(labels) * (side / recipe.input_side) ** 2)
    return total_loss / seen, correct / seen


@torch.inference_mode()
def predict(model: nn.Module, images: Tensor, hardware: Hardware) -> Tensor:
    """Logits, float32 (N, classes) on the CPU, for uint8 images (N, side, side, 3)."""
    model.eval()
    normalize = Normalize()
    parts = []
    for batch in images.split(EVALUATION_BATCH):
        with hardware.autocast():
            parts.append(model(normalize(batch.to(hardware.device))).float().cpu())
    return torch.cat(parts)


def evaluate(model: nn.Module, pixels: Pixels, hardware: Hardware) -> float:
    """The share of pictures, 0..1, whose largest logit is their label's."""
    predicted = predict(model, pixels.images, hardware).argmax(1)
    return float((predicted == pixels.labels).float().mean())


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """An exponential average that forgets the first, untrained weights quickly and settles at `decay`."""

    def average(averaged: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
        keep = min(decay, (1 + int(updates)) / (10 + int(updates)))
        return keep * averaged + (1 - keep) * current

    return average


def _schedule(recipe: Recipe, total_steps: int) -> Callable[[int], float]:
    """The learning rate at each step, from 0."""
    warmup_steps = max(1, round(recipe.warmup * total_steps))

    def rate(step: int) -> float:
        if step < warmup_steps:
            return recipe.learning_rate * (step + 1) / warmup_steps
        return recipe.learning_rate * max(0.0, (total_steps - step) / (total_steps - warmup_steps + 1))

    return rate


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Decay filters and matrices; on norms and biases it only hurts (arXiv 1812.01187, section 3.1)."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _epochs(recipe: Recipe) -> Iterator[Stage]:
    for stage in recipe.stages:
        for _ in range(stage.epochs):
            yield stage


def _batches(
    pixels: Pixels, flips: Tensor, recipe: Recipe, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled, augmented batches; a last one that is not full is left to the next epoch's shuffle."""
    order = torch.randperm(len(pixels), generator=generator)
    size = recipe.batch_size
    for start in range(0, len(pixels) - size + 1, size):
        chosen = order[start : start + size]
        yield (
            augment(pixels.images[chosen], flips[chosen], recipe.crop_padding, generator),
            pixels.labels[chosen],
        )


def _shrink(inputs: Tensor, side: int) -> Tensor:
    if inputs.shape[-1] == side:
        return inputs
    return F.interpolate(inputs, (side, side), mode="bilinear", antialias=True)


def _progress_bar(recipe: Recipe, steps_per_epoch: int, done: int) -> "tqdm[NoReturn]":
    # Counted in pictures of full size, so that the time left is right although early epochs are cheaper.
    costs = [(stage.side / recipe.input_side) ** 2 for stage in _epochs(recipe)]
    pictures = steps_per_epoch * recipe.batch_size
    return tqdm(
        total=pictures * sum(costs),
        initial=pictures * sum(costs[:done]),
        desc=f"train {recipe.network}",
        unit="img",
        unit_scale=True,
        disable=None,
    )
