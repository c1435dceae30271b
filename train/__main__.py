"""`python -m train NETWORK`: train a network and write runs/NETWORK/checkpoint.safetensors."""

import argparse
import dataclasses
import logging
import os
import sys
from pathlib import Path

from torch import nn
from tqdm.contrib.logging import logging_redirect_tqdm

from train import checkpoint, data
from train.loop import EpochResult, TrainingError, evaluate, find_hardware, fit
from train.memory import keep_freed_memory
from train.models import build_model, count_parameters
from train.provenance import git_commit, library_versions
from train.recipes import RECIPES, Recipe

logger = logging.getLogger("train")

HELD_OUT_SEED = 0  # the same pictures are held out whatever seed a run has


def main() -> int:
    """Parse, train, report; the exit status."""
    arguments = _parse()
    keep_freed_memory()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        with logging_redirect_tqdm():
            run(RECIPES[arguments.network], arguments.data, arguments.seed, arguments.to)
    except (data.DataError, TrainingError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    return 0


def run(recipe: Recipe, source: str, seed: int, folder: Path) -> None:
    """Train `recipe` on `source` and leave the best epoch's weights in `folder`.

    Raises:
        DataError: `source` can't be trained on.
        TrainingError: the training broke off.
    """
    dataset = data.open_dataset(source, HELD_OUT_SEED)
    train, held_out, test = (
        data.decode_samples(samples, recipe.input_side, name)
        for name, samples in (
            ("train", dataset.train),
            ("held-out", dataset.held_out),
            ("test", dataset.test),
        )
    )
    sha256 = data.fingerprint(dataset.class_names, (train, held_out, test))
    target = folder / checkpoint.FILE_NAME
    best = 0.0
    parameters = count_parameters(build_model(recipe.network, len(dataset.class_names)))
    logger.info(
        "%s, %d parameters; %s: %d classes, %d training, %d held-out, %d test pictures",
        *(
            recipe.network,
            parameters,
            dataset.name,
            len(dataset.class_names),
            len(train),
            len(held_out),
            len(test),
        ),
    )

    def on_epoch(result: EpochResult, model: nn.Module) -> None:
        nonlocal best
        logger.info(
            "epoch %d/%d at %d px: loss %.4f, accuracy %.2f%%, held-out accuracy %.2f%%, %.0f s",
            *(result.epoch, recipe.epochs, result.side, result.loss, 100 * result.train_accuracy),
            *(100 * result.held_out_accuracy, result.seconds),
        )
        if result.held_out_accuracy < best:
            return
        best = result.held_out_accuracy
        facts = checkpoint.Facts(
            network=recipe.network,
            class_names=dataset.class_names,
            input_side=recipe.input_side,
            data=source,
            data_name=dataset.name,
            data_sha256=sha256,
            seed=seed,
            recipe=dataclasses.asdict(recipe),
            held_out_accuracy=best,
            git_commit=git_commit(),
            versions=library_versions("torch", "numpy", "pillow"),
        )
        checkpoint.save_checkpoint(checkpoint.Checkpoint(model.state_dict(), facts), target)

    fit(recipe, len(dataset.class_names), train, held_out, seed, on_epoch)
    model = checkpoint.load_checkpoint(target).model()
    accuracy = evaluate(model.to(find_hardware().device), test, find_hardware())
    logger.info("test accuracy %.2f%% on %d pictures; weights in %s", 100 * accuracy, len(test), target)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    parser.add_argument(
        "network", choices=RECIPES, help="which network, trained by the recipe of the same name"
    )
    parser.add_argument(
        "--data",
        default=os.environ.get("GLIMPSE_DATA") or data.CIFAR10,
        help="cifar10, or a folder with {train,test}/CLASS/* (default: $GLIMPSE_DATA, else cifar10)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of weights, shuffling and augmentation (default: 0)"
    )
    parser.add_argument("--to", type=Path, help="folder of the run (default: runs/NETWORK)")
    arguments = parser.parse_args()
    arguments.to = arguments.to or Path("runs") / arguments.network
    return arguments


if __name__ == "__main__":
    sys.exit(main())
