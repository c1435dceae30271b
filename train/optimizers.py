"""A network and a recipe in, optimisers whose groups know the peak of their learning rate out."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from train.recipes import Recipe

PEAK = "peak"  # of a parameter group's learning rate; the schedule gives the share of it that a step takes

# From K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024: a quintic iteration
# that drives singular values towards 1, tuned for speed and not for precision.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Steps along the orthogonalised momentum, for weights that keep a fixed norm.

    All singular values of a step are about 1, so that rare directions of a layer's input move as fast as
    common ones. Each weight is rescaled to the Frobenius norm sqrt(rows), as in the author's CIFAR-10 speed
    runs (github.com/KellerJordan/cifar10-airbench), which takes the place of weight decay: the learning rate
    is then the share by which a weight turns. torch.optim.Muon takes matrices only, and no filters.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], momentum: float, dtype: torch.dtype) -> None:
        super().__init__([{"params": list(parameters)}], {"lr": 0.0, "momentum": momentum})
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step; parameters have at least 2 dimensions, the first being the rows."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            for parameter in group["params"]:
                self._step(parameter, group["lr"], group["momentum"])

    def _step(self, parameter: Tensor, rate: float, momentum: float) -> None:
        gradient = parameter.grad
        if gradient is None:
            return
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        memory = state["momentum_buffer"].mul_(momentum).add_(gradient)
        direction = gradient.add(memory, alpha=momentum)  # Nesterov's
        rows = len(parameter)
        parameter.mul_(rows**0.5 / parameter.norm())
        orthogonal = orthogonalize(direction.reshape(rows, -1), self._dtype)
        parameter.sub_(orthogonal.reshape(parameter.shape), alpha=rate)


def orthogonalize(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """The matrix with its singular values brought near 1 (0.7..1.2), float32 of the same shape.

    Args:
        matrix: (rows, columns).
        dtype: what to compute in; bfloat16 is enough.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    estimate = (wide / (wide.norm() + 1e-7)).to(dtype)
    linear, cubic, quintic = _QUINTIC
    for _ in range(_ITERATIONS):
        gram = estimate @ estimate.T
        estimate = linear * estimate + (cubic * gram + quintic * gram @ gram) @ estimate
    found: Tensor = estimate.to(torch.float32)
    return found if wide is matrix else found.T


def build_optimizers(model: nn.Module, recipe: Recipe, dtype: torch.dtype) -> list[torch.optim.Optimizer]:
    """The recipe's optimisers, which together hold each parameter once.

    Weight decay is for filters and matrices; on norms and biases it only hurts (arXiv 1812.01187,
    section 3.1). Muon turns every filter and matrix but the last, whose scale sets the confidence, and
    computes its steps in `dtype`.
    """
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    hidden = weights[:-1] if recipe.optimizer == "muon" else []
    groups: list[dict[str, Any]] = [
        {"params": weights[len(hidden) :], "weight_decay": recipe.weight_decay, PEAK: recipe.learning_rate},
        {"params": others, "weight_decay": 0.0, PEAK: recipe.learning_rate},
    ]
    if recipe.optimizer == "adamw":
        return [torch.optim.AdamW(groups, recipe.learning_rate)]
    sgd = torch.optim.SGD(groups, recipe.learning_rate, recipe.momentum, nesterov=True)
    if not hidden:
        return [sgd]
    muon = Muon(hidden, recipe.momentum, dtype)
    muon.param_groups[0][PEAK] = recipe.turning_rate
    return [muon, sgd]
