import dataclasses

import pytest
import torch
from torch import Tensor, nn

from tests.support import tiny_network
from train.hardware import Hardware
from train.learner import Learner
from train.parallel import ALONE
from train.recipes import Recipe, Stage

RECIPE = Recipe(
    input_side=16,
    stages=(Stage(1),),
    batch_size=8,
    optimizer="muon",
    learning_rate=0.1,
    turning_rate=0.05,
    weight_decay=1e-3,
    warmup=0.2,
    average_every=2,
)
CPU = Hardware(torch.device("cpu"), bfloat16=False)


def learner(optimizer: str, seed: int = 0) -> Learner:
    torch.manual_seed(seed)
    return Learner(tiny_network(3), dataclasses.replace(RECIPE, optimizer=optimizer), 20, CPU, ALONE)


def learn(one: Learner, steps: int) -> None:
    for _ in range(steps):
        torch.manual_seed(one.step)
        logits = one.wrapped(torch.randn(8, 3, 16, 16))
        one.learn(nn.functional.cross_entropy(logits, torch.randint(3, (8,))))


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("optimizer", ["sgd", "muon", "adamw"])
def test_restored_learner_takes_the_very_steps_of_an_uninterrupted_one(optimizer: str) -> None:
    whole, first, second = learner(optimizer), learner(optimizer), learner(optimizer, seed=1)
    learn(whole, 9)
    learn(first, 5)
    second.restore({name: tensor.clone() for name, tensor in first.tensors().items()})
    learn(second, 4)
    assert same(second.tensors(), whole.tensors())


def test_learning_rate_warms_up_and_falls_to_almost_nothing() -> None:
    one = learner("sgd")
    rates = []
    for _ in range(20):
        rates.append(one.learning_rate)
        learn(one, 1)
    assert rates[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[-1] < 0.01


def test_average_lags_behind_the_weights() -> None:
    one = learner("muon")
    learn(one, 10)
    weights, averaged = one.model.state_dict(), one.average.module.state_dict()
    assert any(not torch.equal(weights[name], averaged[name]) for name in weights)
