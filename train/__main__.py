"""`python -m train NETWORK`: train a network on a labelled folder and write runs/NETWORK/."""

import argparse
import dataclasses
import logging
import sys
from pathlib import Path

from tqdm.contrib.logging import logging_redirect_tqdm

from train.checkpoint import CheckpointError
from train.loop import TrainingError
from train.memory import keep_freed_memory
from train.networks import NetworkError
from train.recipes import RecipeError, find_recipe
from train.run import Job, train_network
from train.sources import DataError, default_source


def main() -> int:
    """Parse, train, report; the exit status."""
    arguments = _parse()
    keep_freed_memory()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        with logging_redirect_tqdm():
            train_network(_job(arguments))
    except (RecipeError, NetworkError, DataError, TrainingError, CheckpointError, OSError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "train: stopped; --resume goes on after the last whole epoch, if there was one", file=sys.stderr
        )
        return 130
    return 0


def _job(arguments: argparse.Namespace) -> Job:
    recipe = find_recipe(arguments.network, arguments.recipe)
    size = recipe.input_side if arguments.size is None else arguments.size
    return Job(
        network=arguments.network,
        recipe_name=arguments.recipe,
        recipe=dataclasses.replace(
            recipe.scaled(arguments.learning_rate_scale), input_side=size, balance=arguments.balance
        ),
        source=arguments.data,
        folder=arguments.to or Path("runs") / arguments.network.replace(":", "-"),
        seed=arguments.seed,
        split_seed=arguments.split_seed,
        resume=arguments.resume,
        strict=arguments.strict,
        tensorboard=arguments.tensorboard,
        teachers=tuple(arguments.teacher),
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    add = parser.add_argument
    add("network", help="resnet, cnn, torchvision:NAME, or your own by MODULE:FACTORY")
    add("--recipe", default="full", help="how to train it: full (default) or quick")
    add(
        "--data",
        default=default_source(),
        help="cifar10, or a folder with CLASS/* or {train,val,test}/CLASS/* "
        "(default: $GLIMPSE_DATA, else cifar10)",
    )
    add("--size", type=_side, help="side of the network's input in pixels (default: the recipe's)")
    add("--balance", action="store_true", help="draw all classes equally often, however rare they are")
    add(
        "--learning-rate-scale",
        type=_factor,
        default=1.0,
        metavar="FACTOR",
        help="times the recipe's learning rates, 0.01 to 100 (default: 1)",
    )
    add(
        "--teacher",
        type=Path,
        action="append",
        default=[],
        metavar="RUN",
        help="a trained network's folder, whose answers are learned beside the labels; may be given again",
    )
    add("--strict", action="store_true", help="stop on any problem with the data, instead of reporting it")
    add("--seed", type=_natural, default=0, help="of weights, shuffling and augmentation (default: 0)")
    add("--split-seed", type=_natural, default=0, help="of the held-out and test pictures, where not given")
    add("--to", type=Path, help="folder of the run (default: runs/NETWORK)")
    add("--resume", action="store_true", help="go on with the unfinished run in that folder")
    add("--tensorboard", action="store_true", help="also log for TensorBoard, to the run's tensorboard/")
    return parser.parse_args()


def _side(text: str) -> int:
    # Networks halve a side several times, and at one pixel there is nothing left to learn from.
    if not text.isdecimal() or not 8 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 8 to 1024")
    return int(text)


def _factor(text: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0.01 <= factor <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0.01 to 100")
    return factor


def _natural(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 2**63 - 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
