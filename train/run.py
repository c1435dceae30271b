"""A recipe and a data set in, a run folder with the best epoch's checkpoint out."""

import dataclasses
import logging
from pathlib import Path

from torch import nn

from train import data
from train.checkpoint import FILE_NAME, Checkpoint, CheckpointError, Facts, load_checkpoint, save_checkpoint
from train.loop import EpochResult, evaluate, find_hardware, fit
from train.models import build_model, count_parameters
from train.provenance import git_commit, library_versions
from train.recipes import Recipe

logger = logging.getLogger(__name__)

FEW_HELD_OUT = 100


def train_network(recipe: Recipe, source: str, seed: int, folder: Path) -> None:
    """Train `recipe` on `source`, keep the best epoch's weights in `folder`, measure them once on test.

    Raises:
        CheckpointError: `folder` holds a trained network already.
        DataError: `source` can't be trained on.
        TrainingError: the training broke off.
        OSError: `folder` can't be written.
    """
    target = folder / FILE_NAME
    if target.exists():
        raise CheckpointError(
            f"{str(folder)!r} holds a trained network: name another folder with --to, or remove it first"
        )
    dataset = data.open_dataset(source)
    folder.mkdir(parents=True, exist_ok=True)
    train, held_out, test = data.decode_dataset(dataset, recipe.input_side)
    recipe = recipe.fitted_to(len(train))
    facts = Facts(
        network=recipe.network,
        class_names=dataset.class_names,
        input_side=recipe.input_side,
        data=source,
        data_name=dataset.name,
        data_sha256=data.fingerprint(dataset.class_names, (train, held_out, test)),
        seed=seed,
        recipe=dataclasses.asdict(recipe),
        held_out_accuracy=0.0,
        git_commit=git_commit(),  # of the code that runs, whatever is checked out while it does
        versions=library_versions("torch", "numpy", "pillow"),
    )
    _log_start(facts, len(train), len(held_out), len(test))
    keep = _KeepBest(facts, recipe.epochs, target)
    fit(recipe, len(dataset.class_names), train, held_out, seed, keep)
    hardware = find_hardware()
    model = load_checkpoint(target).model().to(hardware.device)
    accuracy = evaluate(model, test, hardware)
    logger.info("test accuracy %.2f%% on %d pictures; weights in %s", 100 * accuracy, len(test), target)


class _KeepBest:
    """Called after each epoch: reports it, and saves the network if no earlier one was better."""

    def __init__(self, facts: Facts, epochs: int, target: Path) -> None:
        self._facts = facts
        self._epochs = epochs
        self._target = target

    def __call__(self, result: EpochResult, model: nn.Module) -> None:
        position = f"epoch {result.epoch}/{self._epochs} at {result.side} px"
        figures = f"loss {result.loss:.4f}, accuracy {result.train_accuracy:.2%}"
        held_out = f"held-out accuracy {result.held_out_accuracy:.2%}, {result.seconds:.0f} s"
        logger.info("%s: %s, %s", position, figures, held_out)
        if result.held_out_accuracy >= self._facts.held_out_accuracy:
            self._facts = dataclasses.replace(self._facts, held_out_accuracy=result.held_out_accuracy)
            save_checkpoint(Checkpoint(model.state_dict(), self._facts), self._target)


def _log_start(facts: Facts, train: int, held_out: int, test: int) -> None:
    parameters = count_parameters(build_model(facts.network, len(facts.class_names)))
    pictures = f"{train} training, {held_out} held-out, {test} test pictures"
    logger.info(
        "%s, %d parameters; %s: %d classes, %s",
        *(facts.network, parameters, facts.data_name, len(facts.class_names), pictures),
    )
    if held_out < FEW_HELD_OUT:
        logger.warning(
            "only %d pictures are held out: their accuracy and the confidences are rough", held_out
        )
