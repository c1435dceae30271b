"""What a training step changes: the network, its averaged weights, the optimisers' memory, the step."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from train.hardware import Hardware
from train.optimizers import PEAK, build_optimizers
from train.parallel import Parallel
from train.recipes import Recipe


class Learner:
    """A network that learns by a recipe; its state can be taken out and put back."""

    def __init__(
        self, model: nn.Module, recipe: Recipe, total_steps: int, hardware: Hardware, parallel: Parallel
    ) -> None:
        on_device = model.to(hardware.device)
        self.model: nn.Module = on_device.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = _moving_average(recipe.average_decay)
        self.average = AveragedModel(self.model, avg_fn=average, use_buffers=True)
        self.wrapped = parallel.wrap(self.model)  # what a training step calls
        self.step = 0
        self._peak = recipe.learning_rate
        self._optimizers = build_optimizers(self.model, recipe, hardware.dtype)
        self._schedule = _schedule(recipe.warmup, total_steps)
        self._average_every = recipe.average_every

    @property
    def learning_rate(self) -> float:
        """Of the next step, for the weights that Muon does not turn."""
        return self._peak * self._schedule(self.step)

    def learn(self, loss: Tensor) -> None:
        """One step down the gradient of `loss`."""
        self.model.zero_grad()
        loss.backward()
        share = self._schedule(self.step)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = share * group[PEAK]
            optimizer.step()
        self.step += 1
        if self.step % self._average_every == 0:
            self.average.update_parameters(self.model)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, by name."""
        named = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        named |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        for prefix, optimizer in self._prefixed():
            for index, memory in optimizer.state_dict()["state"].items():
                named |= {f"{prefix}{index}.{name}": tensor for name, tensor in memory.items()}
        return named | {"step": torch.tensor(self.step)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` gave, of a learner made from the same recipe."""
        self.model.load_state_dict(_under("model.", tensors))
        self.average.load_state_dict(_under("average.", tensors))
        for prefix, optimizer in self._prefixed():
            memory: dict[int, dict[str, Tensor]] = {}
            for key, tensor in _under(prefix, tensors).items():
                index, name = key.split(".")
                memory.setdefault(int(index), {})[name] = tensor
            optimizer.load_state_dict({**optimizer.state_dict(), "state": memory})
        self.step = int(tensors["step"])

    def _prefixed(self) -> list[tuple[str, torch.optim.Optimizer]]:
        return [(f"optimizer{index}.", optimizer) for index, optimizer in enumerate(self._optimizers)]


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """An exponential average that forgets the first, untrained weights quickly and settles at `decay`."""

    def average(averaged: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
        keep = min(decay, (1 + int(updates)) / (10 + int(updates)))
        return keep * averaged + (1 - keep) * current

    return average


def _schedule(warmup: float, total_steps: int) -> Callable[[int], float]:
    """The share of the peak learning rate at each step: up from 0, then linearly down to 0."""
    warmup_steps = max(1, round(warmup * total_steps))

    def share(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return max(0.0, (total_steps - step) / (total_steps - warmup_steps + 1))

    return share
