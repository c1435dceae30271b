"""An epoch's result and learner in, a run folder that is whole at any moment out.

config.json             what was asked for and what it ran with
data.json               what the data set holds, and what is wrong with it
checkpoint.safetensors  the best epoch's averaged weights, and the facts about them
metrics.jsonl           a line an epoch; curves.png draws them
state.safetensors       while the run is unfinished: all that it needs to go on
classes.csv             precision, recall and F1 of each class on test; confusion.png draws the matrix
mistakes.png            the held-out pictures that the network was most sure of and wrong about
tensorboard/            on request, the metrics as TensorBoard reads them
"""

import dataclasses
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from train import evaluation, figures
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
from train.data import Dataset
from train.files import write_whole
from train.hardware import find_hardware
from train.learner import Learner
from train.loop import EpochResult, Progress, predict

logger = logging.getLogger(__name__)

CONFIG = "config.json"
DATA = "data.json"
METRICS = "metrics.jsonl"
STATE = "state.safetensors"
CURVES = "curves.png"
CLASSES = "classes.csv"
CONFUSION = "confusion.png"
MISTAKES = "mistakes.png"
TENSORBOARD = "tensorboard"
_TEACHERS = "recipe.teachers"
_SHARE_SPENT_SAVING = 0.05  # of a run's time: epochs over a few pictures are shorter than saving them is


def check_folder(folder: Path, *, resume: bool) -> None:
    """See that a run may start, or go on, in a folder.

    Raises:
        CheckpointError: it may not.
    """
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


def data_of_run(folder: Path) -> str | None:
    """Where the run of a folder had its pictures from, if it says so."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8", errors="surrogateescape"))
    except (OSError, ValueError):
        return None
    return config.get("data") if isinstance(config, dict) else None


def _in_common(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a run that goes on must share with its beginning, by name."""
    recipe = {f"recipe.{name}": value for name, value in facts["recipe"].items()}
    plain = {name: facts[name] for name in ("network", "data_sha256", "seed")}
    return {**plain, **recipe, "versions": facts["versions"]}


def _hashes(teachers: list[str] | None) -> str:
    return ", ".join(sha256[:12] for sha256 in teachers or []) or "none"


class RunFolder:
    """What a run has reached, in memory and on disk."""

    def __init__(self, path: Path, facts: Facts, epochs: int, *, tensorboard: bool) -> None:
        self._path = path
        self._facts = facts
        self._epochs = epochs
        self._history: list[EpochResult] = []
        self._best: dict[str, Tensor] = {}  # weights that are not on disk yet
        self._saved_at = 0.0
        self._saving_took = 0.0
        self._tensorboard = tensorboard
        self._writer: SummaryWriter | None = None

    def begin(self, dataset: Dataset, source: str) -> None:
        """Say what runs, on what."""
        config = {"data": source, **dataclasses.asdict(self._facts)}
        del config["held_out_accuracy"]
        self._write_json(CONFIG, config)
        self._write_json(DATA, dataclasses.asdict(dataset.report))

    def restore(self) -> Progress:
        """Take over the unfinished run of the folder; where to go on.

        Raises:
            CheckpointError: it was started with something else.
        """
        tensors, saved = read_tensors(self._path / STATE)
        self._check_same(saved["facts"], json.loads(json.dumps(dataclasses.asdict(self._facts))))
        self._history = [EpochResult(**one) for one in saved["history"]]
        self._facts = dataclasses.replace(
            self._facts,
            held_out_accuracy=saved["facts"]["held_out_accuracy"],
            git_commit=saved["facts"]["git_commit"],
        )
        logger.info("going on after epoch %d", len(self._history))
        return Progress(len(self._history), tensors)

    def end_epoch(self, result: EpochResult, learner: Learner) -> None:
        """Report the epoch, and save when it is time.

        Raises:
            OSError: saving failed; what was saved before is whole, and --resume goes on from it.
        """
        position = f"epoch {result.epoch}/{self._epochs} at {result.side} px"
        shares = f"accuracy {result.train_accuracy:.2%}, held-out accuracy {result.held_out_accuracy:.2%}"
        speed = f"{result.images_per_second:.0f} img/s, {result.seconds:.0f} s"
        logger.info("%s: loss %.4f, %s, %s", position, result.loss, shares, speed)
        self._history.append(result)
        self._log_to_tensorboard(result)
        if result.held_out_accuracy >= self._facts.held_out_accuracy:
            self._facts = dataclasses.replace(self._facts, held_out_accuracy=result.held_out_accuracy)
            weights = learner.average.module.state_dict()
            self._best = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
        since = time.monotonic() - self._saved_at
        if result.epoch == self._epochs or self._saving_took <= _SHARE_SPENT_SAVING * since:
            self._save(learner)

    def finish(self, dataset: Dataset) -> float:
        """Measure the best weights on test, draw what they get wrong, drop the state; the accuracy, 0..1."""
        hardware = find_hardware()
        best = load_checkpoint(self._path / FILE_NAME).model().to(hardware.device)
        names = dataset.class_names
        confusion = evaluation.confusion_matrix(predict(best, dataset.test, hardware), dataset.test.labels)
        table = evaluation.class_table(evaluation.class_figures(confusion, names))
        write_whole(self._path / CLASSES, table)
        write_whole(self._path / CONFUSION, figures.draw_confusion(confusion, names))
        # Held out, because people change things when they see mistakes, and test must not lead them.
        held_out = predict(best, dataset.held_out, hardware)
        mistakes = evaluation.worst_mistakes(held_out, dataset.held_out, names)
        write_whole(self._path / MISTAKES, figures.draw_mistakes(mistakes))
        if self._writer:
            self._writer.close()
        (self._path / STATE).unlink()
        return int(confusion.diagonal().sum()) / len(dataset.test)

    def _check_same(self, saved: dict[str, Any], ours: dict[str, Any]) -> None:
        before, now = _in_common(saved), _in_common(ours)
        for name in {**before, **now}:
            if before.get(name) == now.get(name):
                continue
            if name == _TEACHERS:
                raise CheckpointError(
                    f"{str(self._path)!r} was started with other teachers, by the SHA-256 of their weights "
                    f"({_hashes(before.get(name))}, and this has {_hashes(now.get(name))}): give the same "
                    "--teacher in the same order, or start another run with --to"
                )
            raise CheckpointError(
                f"{str(self._path)!r} was started with {name} {before.get(name)!r}, and this is "
                f"{now.get(name)!r}: go on with the same, or start another run with --to"
            )

    def _save(self, learner: Learner) -> None:
        """Write the best weights, metrics and, last of all, the state.

        A run that is killed before the state is written goes on from the one before, and then writes the
        very same files again.
        """
        started = time.monotonic()
        if self._best:
            save_checkpoint(Checkpoint(self._best, self._facts), self._path / FILE_NAME)
            self._best = {}
        history = [dataclasses.asdict(one) for one in self._history]
        lines = "".join(json.dumps(one) + "\n" for one in history)
        write_whole(self._path / METRICS, lines.encode())
        write_whole(self._path / CURVES, figures.draw_curves(self._history))
        state = {"facts": dataclasses.asdict(self._facts), "history": history}
        write_tensors(learner.tensors(), state, self._path / STATE)
        self._saved_at = time.monotonic()
        self._saving_took = self._saved_at - started

    def _log_to_tensorboard(self, result: EpochResult) -> None:
        if not self._tensorboard:
            return
        if self._writer is None:  # a run that goes on takes back what it is about to log again
            self._writer = SummaryWriter(str(self._path / TENSORBOARD), purge_step=result.epoch)
        for name, value in dataclasses.asdict(result).items():
            self._writer.add_scalar(name, value, result.epoch)

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        write_whole(self._path / name, text.encode("utf-8", "surrogateescape") + b"\n")
