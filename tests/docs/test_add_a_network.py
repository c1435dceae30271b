"""The page on adding a network, followed to the letter on a tiny set of pictures."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch

from loadtest.server import running_service
from tests.docs.markdown import Command, blocks, commands
from tests.docs.ways import split_variables, split_words
from tests.docs.world import called_by_make
from tests.support import ROOT, Shapes, encode, service_command
from train import networks, recipes
from train.networks import build_network, check_input

PAGE = ROOT / "docs" / "add-a-network.md"
PYTHON = [block.text for block in blocks(PAGE) if block.language == "python"]


@pytest.fixture
def work(tmp_path: Path, shapes: Path) -> Path:
    """A folder with pictures and the network's file, as a reader has them."""
    (tmp_path / "pets").symlink_to(shapes)
    name = re.match(r"# (\w+\.py)\n", PYTHON[0])
    assert name
    (tmp_path / name[1]).write_text(PYTHON[0], encoding="utf-8")
    return tmp_path


def of_the_first_way() -> Iterator[Command]:
    """The three commands that follow the network's file."""
    (block, *_) = (block for block in blocks(PAGE) if block.language == "sh")
    return (one for one in commands(PAGE) if block.line < one.line < block.end)


def test_ones_own_network_goes_all_the_way_to_an_answer(work: Path, tmp_path: Path) -> None:
    *before, serve = of_the_first_way()
    for number, command in enumerate(before):
        for _, *words in called_by_make(split_words(command), tmp_path / f"make-{number}"):
            done = subprocess.run(
                [sys.executable, *words],
                cwd=work,
                # One thread: over pictures as small as these, several would mostly wait for each other.
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
            assert done.returncode == 0, done.stderr
    variables, _ = split_variables(serve.text)
    settings = {**variables, "GLIMPSE_ARTIFACTS": str(work / "artifacts")}
    unseen = Shapes(seed=5)
    with (
        running_service(service_command(), settings) as service,
        httpx.Client(base_url=service.url) as client,
    ):
        sent = Shapes.CLASS_NAMES * 4
        answers = [client.post("/classify", content=encode(unseen.draw(name))).json() for name in sent]
    assert {answer["model"]["name"] for answer in answers} == {"pets"}
    right = [answer["prediction"]["class"] == name for answer, name in zip(answers, sent, strict=True)]
    assert sum(right) >= 0.75 * len(right)


def test_entries_of_a_network_in_the_repository_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = {
        "Tiny": lambda num_classes, dropout: torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(8, num_classes),
        )
    }
    for module, registry, entry in ((networks, "OURS", PYTHON[1]), (recipes, "RECIPES", PYTHON[2])):
        assert entry.startswith(f"# {module.__name__.replace('.', '/')}.py, in {registry}\n")
        for name, value in eval(f"{{{entry}}}", vars(module) | tiny).items():  # noqa: S307 - our own page
            monkeypatch.setitem(getattr(module, registry), name, value)
    for recipe in (recipes.find_recipe("tiny", name) for name in ("full", "quick")):
        assert recipe.stages[-1].scale == 1
        for side in recipe.sides:
            check_input(build_network("tiny", 5, recipe.dropout), "tiny", side, 5)
