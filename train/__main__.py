"""`python -m train NETWORK`: train a network and write runs/NETWORK/checkpoint.safetensors."""

import argparse
import logging
import os
import sys
from pathlib import Path

from tqdm.contrib.logging import logging_redirect_tqdm

from train.checkpoint import CheckpointError
from train.data import CIFAR10, DataError
from train.loop import TrainingError
from train.memory import keep_freed_memory
from train.recipes import RECIPES, RecipeError, find_recipe
from train.run import train_network


def main() -> int:
    """Parse, train, report; the exit status."""
    arguments = _parse()
    keep_freed_memory()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        with logging_redirect_tqdm():
            train_network(
                arguments.network,
                find_recipe(arguments.network, arguments.recipe),
                arguments.data,
                arguments.seed,
                arguments.to,
                resume=arguments.resume,
            )
    except (RecipeError, DataError, TrainingError, CheckpointError, OSError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train: stopped; --resume goes on after the last whole epoch", file=sys.stderr)
        return 130
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    parser.add_argument("network", choices=RECIPES, help="which network")
    parser.add_argument("--recipe", default="full", help="how it is trained: full (the default) or quick")
    parser.add_argument(
        "--data",
        default=os.environ.get("GLIMPSE_DATA") or CIFAR10,
        help="cifar10, or a folder with {train,test}/CLASS/* (default: $GLIMPSE_DATA, else cifar10)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of weights, shuffling and augmentation (default: 0)"
    )
    parser.add_argument("--to", type=Path, help="folder of the run (default: runs/NETWORK)")
    parser.add_argument("--resume", action="store_true", help="go on with the unfinished run in that folder")
    arguments = parser.parse_args()
    arguments.to = arguments.to or Path("runs") / arguments.network
    return arguments


if __name__ == "__main__":
    sys.exit(main())
