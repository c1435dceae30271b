"""How each network is trained: the constants of a run, together."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

_SMALLEST_BATCH = 16  # batch norm needs some pictures to average over
_STEPS_AN_EPOCH = 16
_FEWEST_STEPS = 600


class RecipeError(Exception):
    """No such recipe; the message names those that exist."""


@dataclass(frozen=True)
class Stage:
    """Some epochs at one resolution: pictures are shrunk to `scale` of the input side before the network."""

    epochs: int
    scale: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """Everything that shapes a run but the network, the data and the seed."""

    input_side: int  # pixels; what the service resizes to
    stages: tuple[Stage, ...]
    batch_size: int
    optimizer: Literal["sgd", "muon", "adamw"]
    learning_rate: float  # the peak; warm-up from 0, then linear to 0
    weight_decay: float  # on filters and matrices only, not on norms and biases
    turning_rate: float = 0.0  # Muon's peak learning rate, for hidden weights
    warmup: float = 0.15  # as a share of all steps
    momentum: float = 0.9
    label_smoothing: float = 0.1
    dropout: float = 0.0
    crop_padding: float = 1 / 16  # the largest shift, as a share of the input side
    cutout: float = 0.0  # side of the blank square, as a share of the input side
    cutmix: float = 0.0  # the share of pictures that get a piece of another
    mixed: float = 0.92  # as a share of all epochs, those from the first in which they do
    taught: float = 0.9  # the teachers' share of the loss, where there are any; the labels' is the rest
    balance: bool = False  # draw every class equally often, instead of every picture once
    average_every: int = 5  # steps between updates of the weight average
    average_decay: float = 0.98  # of one such update, once the average is warm

    @property
    def epochs(self) -> int:
        """Over all stages."""
        return sum(stage.epochs for stage in self.stages)

    @property
    def mixed_epochs(self) -> int:
        """How many epochs, from the first, mix pictures; the last see them whole, as they are served."""
        return round(self.mixed * self.epochs)

    @property
    def sides(self) -> list[int]:
        """Of the pictures that the network sees in each epoch, in pixels."""
        return [round(stage.scale * self.input_side) for stage in self.stages for _ in range(stage.epochs)]

    @property
    def costs(self) -> list[float]:
        """Of each epoch, in epochs of full-sized pictures: convolutions cost with the square of the side."""
        return [stage.scale**2 for stage in self.stages for _ in range(stage.epochs)]

    def scaled(self, scale: float) -> "Recipe":
        """The same recipe with its learning rates times `scale`."""
        return dataclasses.replace(
            self, learning_rate=self.learning_rate * scale, turning_rate=self.turning_rate * scale
        )

    def fitted_to(self, pictures: int) -> "Recipe":
        """The same recipe for few pictures: smaller batches and more epochs, until there are enough steps.

        A recipe made for 45,000 pictures would take a dozen steps on a hundred and learn nothing. The
        learning rates follow the batch (Goyal et al., arXiv 1706.02677).
        """
        batch_size = min(self.batch_size, max(_SMALLEST_BATCH, pictures // _STEPS_AN_EPOCH), pictures)
        steps = self.epochs * (pictures // batch_size)
        repeats = max(1, math.ceil(_FEWEST_STEPS / steps))
        share = batch_size / self.batch_size
        return dataclasses.replace(
            self.scaled(share),
            batch_size=batch_size,
            stages=tuple(Stage(repeats * stage.epochs, stage.scale) for stage in self.stages),
        )


# The early epochs, which only find coarse features anyway, run on small pictures. The small CNN can't: its
# first linear layer has a fixed size. Other networks may not, so they don't.
_RESNET_QUICK = Recipe(
    input_side=32,
    stages=(Stage(4, 0.5), Stage(5, 0.75), Stage(7)),
    batch_size=512,
    optimizer="muon",
    learning_rate=0.4,
    turning_rate=0.08,
    weight_decay=5e-4,
    warmup=0.05,
    average_decay=0.95,
)
_CNN_QUICK = Recipe(
    input_side=64,
    stages=(Stage(10),),
    batch_size=256,
    optimizer="muon",
    learning_rate=0.08,
    turning_rate=0.04,
    weight_decay=5e-4,
    warmup=0.05,
)
# More epochs see the same pictures more often, so they need them more varied. Whole pictures come last, and
# for no longer than they help: twice as many such epochs know all training pictures, and fewer others.
_RESNET = dataclasses.replace(
    _RESNET_QUICK,
    stages=(Stage(5, 0.5), Stage(40, 0.75), Stage(28)),
    crop_padding=1 / 8,
    cutout=1 / 4,
    cutmix=0.5,
    average_decay=0.98,
)
_CNN = dataclasses.replace(_CNN_QUICK, stages=(Stage(50),), crop_padding=1 / 8, cutout=1 / 5)
# AdamW because it trains what it does not know: convolutions, transformers, with or without batch norm.
_OTHER = Recipe(
    input_side=64,
    stages=(Stage(30),),
    batch_size=128,
    optimizer="adamw",
    learning_rate=1e-3,
    weight_decay=0.05,
)
RECIPES = {
    "resnet": {"full": _RESNET, "quick": _RESNET_QUICK},
    "cnn": {"full": _CNN, "quick": _CNN_QUICK},
}
OTHER_RECIPES = {"full": _OTHER, "quick": dataclasses.replace(_OTHER, stages=(Stage(10),))}


def find_recipe(network: str, name: str) -> Recipe:
    """The recipe called `name` for `network`; networks that are not ours share theirs.

    Raises:
        RecipeError: there is none.
    """
    recipes = RECIPES.get(network, OTHER_RECIPES)
    if name not in recipes:
        raise RecipeError(f"recipe {name!r} does not exist for {network}: choose one of {', '.join(recipes)}")
    return recipes[name]
