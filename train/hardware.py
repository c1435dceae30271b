"""What this machine computes with."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Hardware:
    """Where and in which precision to compute."""

    device: torch.device
    bfloat16: bool

    @property
    def dtype(self) -> torch.dtype:
        """Of products where rounding does no harm."""
        return torch.bfloat16 if self.bfloat16 else torch.float32

    def autocast(self) -> AbstractContextManager[None]:
        """bfloat16 for convolutions and products where the hardware has it, float32 elsewhere."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)


def find_hardware() -> Hardware:
    """A GPU if there is one, and torchrun's choice of several; bfloat16 only where it is not emulated."""
    if torch.cuda.is_available():
        index = int(os.environ.get("LOCAL_RANK", "0"))
        return Hardware(torch.device("cuda", index), torch.cuda.is_bf16_supported())
    return Hardware(torch.device("cpu"), torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001 - no public name yet
