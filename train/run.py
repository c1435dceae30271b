"""A job in, a run folder out: the whole way from a source of pictures to measured weights."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from train.checkpoint import Checkpoint, Facts, weights_sha256
from train.data import Dataset, load_dataset
from train.folder import DATA, RunFolder, check_folder
from train.hardware import find_hardware
from train.loop import TrainingError, fit
from train.networks import build_network, check_input, count_parameters
from train.parallel import Parallel, join_processes
from train.provenance import git_commit, library_versions
from train.recipes import Recipe
from train.report import present, remind
from train.sources import DataError, Listing, list_pictures
from train.teacher import Teacher, load_teacher

logger = logging.getLogger(__name__)

FEW_HELD_OUT = 100


@dataclass(frozen=True)
class Job:
    """What to train, on what, and where to.

    split_seed decides which pictures are held out, so that runs with other seeds are judged on the same.
    strict makes every problem with the data fatal. teachers are folders of runs, or bundles.
    """

    network: str
    recipe_name: str
    recipe: Recipe
    source: str
    folder: Path
    seed: int = 0
    split_seed: int = 0
    resume: bool = False
    strict: bool = False
    tensorboard: bool = False
    teachers: tuple[Path, ...] = ()


def train_network(job: Job) -> None:
    """Train the job's network, keep the best epoch's weights, measure them once on test.

    Raises:
        CheckpointError: the folder holds a run that the job does not fit, or a teacher can't teach it.
        DataError: the source can't be trained on.
        NetworkError: there is no such network, or it does not take such pictures.
        TrainingError: the training broke off.
        OSError: a folder can't be written.
    """
    with join_processes(find_hardware()) as parallel:
        if parallel.is_first:
            check_folder(job.folder, resume=job.resume)
        else:
            logging.getLogger("train").setLevel(logging.ERROR)
        listing = list_pictures(job.source)
        _try_network(job, listing)
        teachers = [load_teacher(one, listing.class_names, job.recipe.input_side) for one in job.teachers]
        dataset = _load(job, listing, parallel)
        leaks = _possible_leaks(job, teachers, dataset)
        recipe = _fit_recipe(job.recipe, len(dataset.train), parallel)
        facts = _facts(job, recipe, dataset, teachers)
        torch.manual_seed(job.seed)
        network = build_network(job.network, len(dataset.class_names), recipe.dropout)
        _log_start(facts, dataset, count_parameters(network), parallel)
        _log_teachers(job, teachers)
        folder = RunFolder(job.folder, facts, recipe.epochs, tensorboard=job.tensorboard)
        progress = folder.restore() if job.resume else None
        if parallel.is_first and progress is None:
            folder.begin(dataset, job.source)
        fit(
            *(network, recipe, dataset.train, dataset.held_out, job.seed, folder.end_epoch),
            classes=len(dataset.class_names),
            teacher=Teacher([one.model() for one in teachers], find_hardware()) if teachers else None,
            resume=progress,
            parallel=parallel,
        )
        if parallel.is_first:
            _finish(job, folder, dataset, leaks)


def _try_network(job: Job, listing: Listing) -> None:
    """Before any picture is decoded, see that the network takes one of each size."""
    classes = len(listing.class_names)
    network = build_network(job.network, classes)
    for side in sorted(set(job.recipe.sides)):
        check_input(network, job.network, side, classes)


def _load(job: Job, listing: Listing, parallel: Parallel) -> Dataset:
    with parallel.first_goes_first():
        dataset = load_dataset(listing, job.recipe.input_side, job.split_seed)
    if parallel.is_first:
        present(dataset.report, strict=job.strict)
    if len(dataset.held_out) < FEW_HELD_OUT:
        logger.warning(
            "only %d pictures are held out: accuracy and confidences will be rough", len(dataset.held_out)
        )
    return dataset


def _possible_leaks(job: Job, teachers: Sequence[Checkpoint], dataset: Dataset) -> list[str]:
    """A sentence, which is logged too, for each teacher that may know what the student is judged by.

    An error only if the job is strict: a network that learned from more pictures than these is worth learning
    from, and only its owner knows whether those that are held out here were among them.
    """
    leaks = []
    for folder, facts in zip(job.teachers, (teacher.facts for teacher in teachers), strict=True):
        if facts.data_sha256 == dataset.sha256:
            continue
        leak = (
            f"teacher {str(folder)!r} learned from other data, or from another split of it (--split-seed "
            f"{facts.split_seed} there, {job.split_seed} here): if it has seen pictures that are held out or "
            "in the test here, accuracies come out too high"
        )
        if job.strict:
            raise DataError(f"{leak}, and --strict allows no such teacher")
        logger.warning("%s", leak)
        leaks.append(leak)
    return leaks


def _fit_recipe(recipe: Recipe, pictures: int, parallel: Parallel) -> Recipe:
    fitted = recipe.fitted_to(pictures)
    if fitted.batch_size < parallel.world:
        raise TrainingError(
            f"{parallel.world} processes can't share batches of {fitted.batch_size} pictures: start fewer"
        )
    return dataclasses.replace(fitted, batch_size=fitted.batch_size - fitted.batch_size % parallel.world)


def _facts(job: Job, recipe: Recipe, dataset: Dataset, teachers: Sequence[Checkpoint]) -> Facts:
    taught_by = [weights_sha256(teacher.weights) for teacher in teachers]
    return Facts(
        network=job.network,
        class_names=dataset.class_names,
        input_side=recipe.input_side,
        data_name=dataset.name,
        data_sha256=dataset.sha256,
        split_seed=job.split_seed,
        seed=job.seed,
        recipe={"name": job.recipe_name, **dataclasses.asdict(recipe), "teachers": taught_by},
        held_out_accuracy=0.0,
        git_commit=git_commit(),  # of the code that runs, whatever is checked out while it does
        versions=library_versions("torch", "numpy", "pillow"),
    )


def _log_start(facts: Facts, dataset: Dataset, parameters: int, parallel: Parallel) -> None:
    parts = (dataset.train, "training"), (dataset.held_out, "held-out"), (dataset.test, "test")
    pictures = ", ".join(f"{len(part)} {name}" for part, name in parts)
    logger.info(
        "%s, %d parameters; %s: %d classes, %s pictures; recipe %s, %d process(es)",
        *(facts.network, parameters, facts.data_name, len(facts.class_names), pictures),
        *(facts.recipe["name"], parallel.world),
    )


def _log_teachers(job: Job, teachers: Sequence[Checkpoint]) -> None:
    for folder, facts in zip(job.teachers, (teacher.facts for teacher in teachers), strict=True):
        logger.info(
            "taught by %s in %s, held-out accuracy %.2f%%",
            *(facts.network, folder, 100 * facts.held_out_accuracy),
        )


def _finish(job: Job, folder: RunFolder, dataset: Dataset, leaks: Sequence[str]) -> None:
    accuracy = folder.finish(dataset)
    logger.info(
        "test accuracy %.2f%% on %d pictures; weights, curves and mistakes in %s",
        *(100 * accuracy, len(dataset.test), job.folder),
    )
    remind(dataset.report, job.folder / DATA)
    for leak in leaks:
        logger.warning("%s", leak)
