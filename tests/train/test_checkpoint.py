import dataclasses
from pathlib import Path

import pytest
import torch

from train.checkpoint import (
    Checkpoint,
    CheckpointError,
    Facts,
    load_checkpoint,
    read_tensors,
    save_checkpoint,
    write_tensors,
)
from train.networks import build_network

FACTS = Facts(
    network="cnn",
    class_names=("a", "b"),
    input_side=64,
    data_name="cifar10",
    data_sha256="0",
    split_seed=0,
    seed=0,
    recipe={"epochs": 1},
    held_out_accuracy=0.5,
    git_commit="c",
    versions={"torch": "1"},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "run" / "checkpoint.safetensors"
    save_checkpoint(Checkpoint(build_network("cnn", 2).state_dict(), FACTS), target)
    return target


def test_saved_checkpoint_loads_with_the_same_weights_and_facts(path: Path) -> None:
    loaded = load_checkpoint(path)
    assert loaded.facts == FACTS
    again = loaded.model().state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in loaded.weights.items())


def test_saving_leaves_nothing_beside_the_file(path: Path) -> None:
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_missing_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist: train a network first"):
        load_checkpoint(tmp_path / "none")


@pytest.mark.parametrize("keep", [0, 4, 1000])
def test_truncated_checkpoint_is_refused(keep: int, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="not a checkpoint of Glimpse, or broken"):
        load_checkpoint(path)


def test_weights_of_another_network_are_refused(path: Path) -> None:
    weights = load_checkpoint(path).weights
    other = Checkpoint(weights, dataclasses.replace(FACTS, network="resnet"))
    with pytest.raises(CheckpointError, match="do not fit network 'resnet'"):
        other.model()


def test_weights_of_another_type_are_not_cast_in_silence(path: Path) -> None:
    weights = load_checkpoint(path).weights
    name = next(iter(weights))
    halved = Checkpoint({**weights, name: weights[name].half()}, FACTS)
    with pytest.raises(
        CheckpointError, match=rf"weights '{name}' are torch.float16, .* has torch.float32: give"
    ):
        halved.model()


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("input_side", "64"),
        ("input_side", 0),
        ("input_side", 64.5),
        ("input_side", True),
        ("split_seed", "x"),
        ("split_seed", -1),
        ("seed", None),
        ("recipe", [1]),
        ("class_names", "ab"),
        ("class_names", ["a"]),
        ("held_out_accuracy", float("nan")),
        ("versions", {"torch": 2}),
        ("colour", "blue"),
    ],
)
def test_wrong_fact_is_named_with_its_value(fact: str, value: object, path: Path) -> None:
    weights, facts = read_tensors(path)
    write_tensors(weights, {**facts, fact: value}, path)
    with pytest.raises(CheckpointError, match=rf"wrong facts: {fact}\S* is .*: give the file that training"):
        load_checkpoint(path)


def test_class_names_in_any_encoding_come_back(path: Path) -> None:
    facts = dataclasses.replace(FACTS, class_names=("青い 輪", "not UTF-8: \udcff"))
    save_checkpoint(Checkpoint(load_checkpoint(path).weights, facts), path)
    assert load_checkpoint(path).facts == facts


def test_missing_fact_is_named(path: Path) -> None:
    weights, facts = read_tensors(path)
    del facts["recipe"]
    write_tensors(weights, facts, path)
    with pytest.raises(CheckpointError, match="wrong facts: recipe is missing"):
        load_checkpoint(path)


@pytest.mark.parametrize("facts", [[1], "text", None])
def test_facts_of_another_kind_are_refused(facts: object, path: Path) -> None:
    weights, _ = read_tensors(path)
    write_tensors(weights, facts, path)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="wrong facts: facts is "):
        load_checkpoint(path)


def test_layers_that_share_their_weights_are_saved_for_each(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    save_checkpoint(Checkpoint({"one": shared, "other": shared}, FACTS), tmp_path / "shared.safetensors")
    weights = load_checkpoint(tmp_path / "shared.safetensors").weights
    assert all(torch.equal(weights[name], shared) for name in ("one", "other"))
