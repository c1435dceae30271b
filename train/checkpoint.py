"""A trained network on disk: one safetensors file, weights in its body and facts in its header."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from train.models import build_model

FILE_NAME = "checkpoint.safetensors"
_HEADER_KEY = "glimpse"


class CheckpointError(Exception):
    """The file is missing, broken or of another kind; the message says which."""


@dataclass(frozen=True)
class Facts:
    """What must be known about weights to use, export and reproduce them. All of it is JSON."""

    network: str
    class_names: tuple[str, ...]
    input_side: int  # pixels
    data: str  # what --data was: "cifar10" or a folder
    data_name: str
    data_sha256: str
    seed: int
    recipe: dict[str, object]
    held_out_accuracy: float  # share, 0..1
    git_commit: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Checkpoint:
    """Weights and facts."""

    weights: dict[str, Tensor]
    facts: Facts

    def model(self) -> nn.Module:
        """The network with these weights, ready for inference.

        Raises:
            CheckpointError: the weights are not of the network that the facts name.
        """
        model = build_model(self.facts.network, len(self.facts.class_names))
        try:
            model.load_state_dict(self.weights)
        except RuntimeError as error:
            raise CheckpointError(
                f"the weights do not fit network {self.facts.network!r}: {error}"
            ) from error
        return model.eval()


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write beside the target, then rename: a reader sees the old file or the new one, never half of one."""
    header = {_HEADER_KEY: json.dumps(dataclasses.asdict(checkpoint.facts))}
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.weights.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(save(weights, header))
    partial.replace(path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read weights and facts; no code from the file is run.

    Raises:
        CheckpointError: no such file, not safetensors, or without Glimpse's facts.
    """
    if not path.is_file():
        raise CheckpointError(f"{str(path)!r} does not exist: train a network first (make train)")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        facts = json.loads(header[_HEADER_KEY])
        return Checkpoint(weights, Facts(**{**facts, "class_names": tuple(facts["class_names"])}))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{str(path)!r} is not a checkpoint of Glimpse, or broken: {error}") from error
