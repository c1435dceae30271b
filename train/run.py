"""A recipe and a data set in, a run folder out: the best epoch's checkpoint and every epoch's metrics.

checkpoint.safetensors  the best epoch's averaged weights, and the facts about them
metrics.jsonl           a line an epoch
state.safetensors       while the run is unfinished: all that it needs to go on
"""

import dataclasses
import json
import logging
from pathlib import Path

import torch

from train import data
from train.checkpoint import (
    FILE_NAME,
    Checkpoint,
    CheckpointError,
    Facts,
    load_checkpoint,
    read_tensors,
    save_checkpoint,
    write_tensors,
)
from train.hardware import find_hardware
from train.learner import Learner
from train.loop import EpochResult, Progress, evaluate, fit
from train.models import build_model, count_parameters
from train.provenance import git_commit, library_versions
from train.recipes import Recipe

logger = logging.getLogger(__name__)

METRICS = "metrics.jsonl"
STATE = "state.safetensors"
FEW_HELD_OUT = 100


def train_network(
    network: str, recipe: Recipe, source: str, seed: int, folder: Path, *, resume: bool = False
) -> None:
    """Train `network` on `source`, keep the best epoch's weights in `folder`, measure them once on test.

    Raises:
        CheckpointError: `folder` holds a run that `resume` does not fit.
        DataError: `source` can't be trained on.
        TrainingError: the training broke off.
        OSError: `folder` can't be written.
    """
    _check_folder(folder, resume)
    dataset = data.open_dataset(source)
    folder.mkdir(parents=True, exist_ok=True)
    train, held_out, test = data.decode_dataset(dataset, recipe.input_side)
    recipe = recipe.fitted_to(len(train))
    facts = Facts(
        network=network,
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
    run = _Run(facts, recipe.epochs, folder)
    torch.manual_seed(seed)
    model = build_model(network, len(dataset.class_names), recipe.dropout)
    fit(model, recipe, train, held_out, seed, run.end_epoch, resume=run.restore() if resume else None)
    (folder / STATE).unlink()
    hardware = find_hardware()
    best = load_checkpoint(folder / FILE_NAME).model().to(hardware.device)
    accuracy = evaluate(best, test, hardware)
    logger.info("test accuracy %.2f%% on %d pictures; weights in %s", 100 * accuracy, len(test), folder)


class _Run:
    """What has been reached, in memory and on disk."""

    def __init__(self, facts: Facts, epochs: int, folder: Path) -> None:
        self.history: list[EpochResult] = []
        self._facts = facts
        self._epochs = epochs
        self._folder = folder

    def restore(self) -> Progress:
        """Take over the unfinished run of the folder; where to go on.

        Raises:
            CheckpointError: it was started with something else.
        """
        tensors, saved = read_tensors(self._folder / STATE)
        ours = json.loads(json.dumps(dataclasses.asdict(self._facts)))
        for name in ("network", "data_sha256", "seed", "recipe", "versions"):
            if saved["facts"][name] != ours[name]:
                raise CheckpointError(
                    f"{str(self._folder)!r} was started with {name} {saved['facts'][name]!r}, and this is "
                    f"{ours[name]!r}: go on with the same, or start another run with --to"
                )
        self.history = [EpochResult(**one) for one in saved["history"]]
        best = max(one.held_out_accuracy for one in self.history)
        self._facts = dataclasses.replace(
            self._facts, held_out_accuracy=best, git_commit=saved["facts"]["git_commit"]
        )
        logger.info("going on after epoch %d", len(self.history))
        return Progress(len(self.history), tensors)

    def end_epoch(self, result: EpochResult, learner: Learner) -> None:
        """Report the epoch, and save: the network if no earlier one was better, metrics, state.

        The state comes last. A run that is killed before it goes back to the epoch's start, and then
        writes the very same files again.
        """
        position = f"epoch {result.epoch}/{self._epochs} at {result.side} px"
        figures = f"loss {result.loss:.4f}, accuracy {result.train_accuracy:.2%}"
        held_out = f"held-out accuracy {result.held_out_accuracy:.2%}, {result.seconds:.0f} s"
        logger.info("%s: %s, %s", position, figures, held_out)
        self.history.append(result)
        if result.held_out_accuracy >= self._facts.held_out_accuracy:
            self._facts = dataclasses.replace(self._facts, held_out_accuracy=result.held_out_accuracy)
            weights = learner.average.module.state_dict()
            save_checkpoint(Checkpoint(weights, self._facts), self._folder / FILE_NAME)
        history = [dataclasses.asdict(one) for one in self.history]
        lines = "".join(json.dumps(one) + "\n" for one in history)
        (self._folder / METRICS).write_text(lines, encoding="utf-8")
        state = {"facts": dataclasses.asdict(self._facts), "history": history}
        write_tensors(learner.tensors(), state, self._folder / STATE)


def _check_folder(folder: Path, resume: bool) -> None:
    unfinished = (folder / STATE).exists()
    if resume and not unfinished:
        raise CheckpointError(f"{str(folder)!r} holds no unfinished run: start one without --resume")
    if unfinished and not resume:
        raise CheckpointError(
            f"{str(folder)!r} holds an unfinished run: go on with --resume, or name another folder with --to"
        )
    if not resume and (folder / FILE_NAME).exists():
        raise CheckpointError(
            f"{str(folder)!r} holds a trained network: name another folder with --to, or remove it first"
        )


def _log_start(facts: Facts, train: int, held_out: int, test: int) -> None:
    parameters = count_parameters(build_model(facts.network, len(facts.class_names)))
    pictures = f"{train} training, {held_out} held-out, {test} test pictures"
    logger.info(
        "%s, %d parameters; %s: %d classes, %s",
        *(facts.network, parameters, facts.data_name, len(facts.class_names), pictures),
    )
    if held_out < FEW_HELD_OUT:
        logger.warning("only %d pictures are held out: accuracy and confidences will be rough", held_out)
