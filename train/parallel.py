"""The processes that torchrun starts in, one data-parallel training out."""

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from train.hardware import Hardware

# Others wait while the first process decodes the data set or evaluates.
_PATIENCE = dt.timedelta(hours=12)


@dataclass(frozen=True)
class Parallel:
    """One of `world` processes that train the same network, each on its share of every batch."""

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """The one process that writes files and reports."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's part of a batch whose length `world` divides."""
        return batch[self.rank :: self.world]

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model, averaging its gradients over all processes as they are computed."""
        return DistributedDataParallel(model) if self.world > 1 else model

    def total(self, *values: float) -> list[float]:
        """Each value's sum over all processes."""
        if self.world == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device=_device_of_group())
        torch.distributed.all_reduce(sums)
        return [float(value) for value in sums]

    @contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """What the first process makes inside, the others find there."""
        if self.world > 1 and not self.is_first:
            torch.distributed.barrier()
        yield
        if self.world > 1 and self.is_first:
            torch.distributed.barrier()


ALONE = Parallel()


@contextmanager
def join_processes(hardware: Hardware) -> Iterator[Parallel]:
    """Join the other processes if torchrun started this one; alone otherwise."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield ALONE
        return
    on_gpu = hardware.device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(hardware.device)
    torch.distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    try:
        yield Parallel(torch.distributed.get_rank(), torch.distributed.get_world_size())
    finally:
        torch.distributed.destroy_process_group()


def _device_of_group() -> torch.device:
    on_gpu = torch.distributed.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
