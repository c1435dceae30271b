import dataclasses
import itertools

import pytest
import torch
from torch import nn

from train.networks import build_network
from train.optimizers import Muon, build_optimizers, orthogonalize
from train.recipes import Recipe, Stage

RECIPE = Recipe(
    input_side=32,
    stages=(Stage(1),),
    batch_size=8,
    optimizer="muon",
    learning_rate=0.1,
    turning_rate=0.05,
    weight_decay=1e-3,
)


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (16, 16)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_orthogonalized_matrix_has_singular_values_near_one(
    shape: tuple[int, int], dtype: torch.dtype
) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = orthogonalize(matrix, dtype)
    assert (found.shape, found.dtype) == (matrix.shape, torch.float32)
    values = torch.linalg.svdvals(found)
    assert 0.6 < values.min() <= values.max() < 1.3


def test_orthogonalizing_keeps_the_directions() -> None:
    matrix = torch.randn(12, 20, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalize(matrix, torch.float32)
    assert nn.functional.cosine_similarity(found.flatten(), (left @ right).flatten(), dim=0) > 0.95


def test_muon_turns_a_weight_by_its_rate_and_keeps_its_norm() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(16, 4, 3, 3))
    muon = Muon([weight], momentum=0.0, dtype=torch.float32)
    muon.param_groups[0]["lr"] = 0.1
    for _ in range(2):  # the first step also brings the norm to sqrt(rows)
        before = weight.detach() / weight.detach().norm()
        weight.grad = torch.randn_like(weight)
        muon.step()
    after = weight.detach()
    assert after.norm() == pytest.approx(4.0, rel=0.05)
    assert (after / after.norm() - before).norm() == pytest.approx(0.1, rel=0.2)


@pytest.mark.parametrize("optimizer", ["sgd", "muon", "adamw"])
@pytest.mark.parametrize("network", ["resnet", "cnn"])
def test_optimizers_hold_each_parameter_once(network: str, optimizer: str) -> None:
    model = build_network(network, 10)
    recipe = dataclasses.replace(RECIPE, optimizer=optimizer)
    optimizers = build_optimizers(model, recipe, torch.float32)
    groups = itertools.chain.from_iterable(one.param_groups for one in optimizers)
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())


def test_norms_and_biases_do_not_decay() -> None:
    model = build_network("resnet", 10)
    decaying = {
        id(parameter)
        for optimizer in build_optimizers(model, dataclasses.replace(RECIPE, optimizer="sgd"), torch.float32)
        for group in optimizer.param_groups
        for parameter in group["params"]
        if group["weight_decay"] > 0
    }
    assert decaying == {id(parameter) for parameter in model.parameters() if parameter.ndim > 1}
