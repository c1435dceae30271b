"""A trained network on disk: one safetensors file, weights in its body and facts in its header."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from train.files import write_whole
from train.networks import build_network

FILE_NAME = "checkpoint.safetensors"
_HEADER_KEY = "glimpse"


class CheckpointError(Exception):
    """The file is missing, broken or of another kind; the message says which."""


@dataclass(frozen=True)
class Facts:
    """What must be known about weights to use, export and reproduce them. All of it is JSON."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    network: str
    class_names: Annotated[tuple[str, ...], Field(min_length=2)]
    input_side: Annotated[int, Field(ge=1, strict=True)]  # pixels
    data_name: str
    data_sha256: str
    split_seed: Annotated[int, Field(ge=0, strict=True)]
    seed: Annotated[int, Field(ge=0, strict=True)]
    recipe: dict[str, object]
    held_out_accuracy: Annotated[float, Field(ge=0, le=1, strict=True)]  # share
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
            CheckpointError: the weights are not of the network that the facts name, in its own types.
            NetworkError: there is no such network here.
        """
        model = build_network(self.facts.network, len(self.facts.class_names))
        expected = _shapes(model.state_dict())
        found = _shapes(self.weights)
        wrong = sorted(name for name, _ in expected.items() ^ found.items())
        if wrong:
            raise CheckpointError(
                f"the weights do not fit network {self.facts.network!r} with {len(self.facts.class_names)} "
                f"classes: {wrong[0]!r} is one of {len(set(wrong))} tensors that are missing, superfluous or "
                "of another shape; give the folder that training wrote, unchanged"
            )
        for name, tensor in model.state_dict().items():
            if tensor.dtype != self.weights[name].dtype:
                raise CheckpointError(
                    f"weights {name!r} are {self.weights[name].dtype}, and network {self.facts.network!r} "
                    f"has {tensor.dtype}: give the folder that training wrote, unchanged"
                )
        model.load_state_dict(self.weights)
        return model.eval()


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write weights and facts, whole or not at all."""
    write_tensors(checkpoint.weights, dataclasses.asdict(checkpoint.facts), path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read weights and facts; no code from the file is run.

    Raises:
        CheckpointError: no such file, not safetensors, with wrong facts, or with NaN in its weights.
    """
    if not path.is_file():
        raise CheckpointError(f"{str(path)!r} does not exist: train a network first (make train)")
    weights, facts = read_tensors(path)
    broken = [name for name, tensor in weights.items() if not tensor.isfinite().all()]
    if broken:
        raise CheckpointError(
            f"{str(path)!r} holds weights that are not finite, in {', '.join(broken)}: train again"
        )
    try:
        return Checkpoint(weights, TypeAdapter(Facts).validate_python(facts))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "facts"
        found = "missing" if problem["type"] == "missing" else repr(problem["input"])
        raise CheckpointError(
            f"{str(path)!r} is a checkpoint with wrong facts: {where} is {found} "
            f"({problem['msg']}): give the file that training wrote, unchanged"
        ) from error


def weights_sha256(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of all weights, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """What save_checkpoint writes."""
    return _encode(checkpoint.weights, dataclasses.asdict(checkpoint.facts))


def write_tensors(tensors: Mapping[str, Tensor], facts: Mapping[str, Any], path: Path) -> None:
    """Write tensors and JSON facts, whole or not at all."""
    write_whole(path, _encode(tensors, facts))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What write_tensors wrote.

    Raises:
        CheckpointError: the file is broken or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return tensors, json.loads(header[_HEADER_KEY])
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{str(path)!r} is not a checkpoint of Glimpse, or broken: {error}") from error


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _encode(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> bytes:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    if len({tensor.data_ptr() for tensor in plain.values()}) < len(plain):
        # Layers that share their weights: the file has no way to say so, and networks know it themselves.
        plain = {name: tensor.clone() for name, tensor in plain.items()}
    return save(plain, {_HEADER_KEY: json.dumps(facts)})
