"""How each network is trained by default: the constants of a run, together."""

import dataclasses
import math
from dataclasses import dataclass, field

_SMALLEST_BATCH = 16  # batch norm needs some pictures to average over
_STEPS_AN_EPOCH = 16
_FEWEST_STEPS = 600


@dataclass(frozen=True)
class Stage:
    """Some epochs at one resolution: pictures are shrunk to `side` before the network sees them."""

    epochs: int
    side: int


@dataclass(frozen=True)
class Recipe:
    """Everything that shapes a run but the data and the seed."""

    network: str
    input_side: int  # pixels; what the service resizes to
    stages: tuple[Stage, ...]
    batch_size: int
    learning_rate: float  # the peak; warm-up from 0, then linear to 0
    weight_decay: float  # on filters and matrices only, not on norms and biases
    warmup: float = field(default=0.15)  # as a share of all steps
    momentum: float = 0.9
    label_smoothing: float = 0.1
    dropout: float = 0.0
    crop_padding: int = 2
    average_every: int = 5  # steps between updates of the weight average
    average_decay: float = 0.98  # of one such update, once the average is warm

    @property
    def epochs(self) -> int:
        """Over all stages."""
        return sum(stage.epochs for stage in self.stages)

    def fitted_to(self, pictures: int) -> "Recipe":
        """The same recipe for few pictures: smaller batches and more epochs, until there are enough steps.

        A recipe made for 45,000 pictures would take a dozen steps on a hundred and learn nothing. The
        learning rate follows the batch (Goyal et al., arXiv 1706.02677).
        """
        batch_size = min(self.batch_size, max(_SMALLEST_BATCH, pictures // _STEPS_AN_EPOCH), pictures)
        steps = self.epochs * (pictures // batch_size)
        repeats = max(1, math.ceil(_FEWEST_STEPS / steps))
        return dataclasses.replace(
            self,
            batch_size=batch_size,
            learning_rate=self.learning_rate * batch_size / self.batch_size,
            stages=tuple(Stage(repeats * stage.epochs, stage.side) for stage in self.stages),
        )


# A convolution's cost falls with the square of the side, so the early epochs, which only find coarse
# features anyway, run on small pictures. The small CNN has a fixed first linear layer and can't.
RECIPES = {
    "resnet": Recipe(
        network="resnet",
        input_side=32,
        stages=(Stage(3, 20), Stage(4, 24), Stage(6, 32)),
        batch_size=256,
        learning_rate=0.2,
        weight_decay=5e-4,
    ),
    "cnn": Recipe(
        network="cnn",
        input_side=64,
        stages=(Stage(20, 64),),
        batch_size=256,
        learning_rate=0.08,
        weight_decay=5e-4,
        crop_padding=4,
    ),
}
