"""`python -m export RUN`: turn trained weights into a bundle; `verify` and `show BUNDLE` look at one."""

import argparse
import dataclasses
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from export.figures import MANY
from export.gates import GateError, Limits
from export.pipeline import Order, export_bundle
from export.show import show_bundle
from export.verify import verify_bundle
from service.bundle import refuse_existing
from service.errors import BundleError
from train.checkpoint import FILE_NAME, CheckpointError, load_checkpoint
from train.folder import STATE, data_of_run
from train.networks import NetworkError
from train.sources import DataError, default_source

ARTIFACTS = Path("artifacts")
_LIMITS = {
    "parity_atol": "largest absolute difference from PyTorch",
    "parity_rtol": "largest relative difference from PyTorch",
    "min_accuracy": "accuracy on test",
    "max_accuracy_loss": "share of test pictures that int8 may lose",
    "min_agreement": "share of test pictures that int8 must answer like fp32",
    "max_ece": "expected calibration error on test",
    "max_coverage_gap": "distance of prediction sets' coverage on test from what they claim",
}

_LOOSENED = {
    "max_accuracy_loss": "at least one test picture",
    "min_agreement": "at most all but one test picture",
    "max_ece": f"more on fewer than {MANY:,} test pictures",
    "max_coverage_gap": f"more on fewer than {MANY:,} test or held-out pictures",
}
_EPILOG = (
    "A limit that is given holds as it is. Few pictures may miss a default by chance alone: there it is "
    "loosened by an allowance, which the manifest and the card name beside the limit."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, act, report; the exit status: 1 for a failed gate, 2 for bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    actions: dict[str, Callable[[list[str]], None]] = {"verify": _verify, "show": _show}
    reads = bool(given) and given[0] in actions
    try:
        if reads:
            actions[given[0]](given[1:])
        else:
            _export(given)
        sys.stdout.flush()
    except GateError as error:
        print(f"export: {error}" + ("" if reads else "; nothing was written"), file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Nobody reads on, and Python would complain when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (CheckpointError, NetworkError, DataError, BundleError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("export: stopped" + ("" if reads else "; nothing was written"), file=sys.stderr)
        return 130
    return 0


def _export(given: list[str]) -> None:
    arguments = _parse_export(given)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    logging.getLogger("export").setLevel(logging.INFO)
    torch.set_num_threads(1)  # more would add up in another order: the bundle would depend on the machine
    checkpoint = load_checkpoint(arguments.run / FILE_NAME)
    if (arguments.run / STATE).exists() and not arguments.unfinished:
        raise CheckpointError(
            f"the run in {str(arguments.run)!r} is not finished: go on with it by train --resume, or export "
            "the best that it has by --unfinished"
        )
    folder = arguments.to or _next_version(ARTIFACTS / _model_name(arguments.run.resolve()))
    order = Order(
        folder=_check_target(folder),
        source=arguments.data or data_of_run(arguments.run) or default_source(),
        variants=("fp32",) if arguments.float_only else ("fp32", "int8"),
        limits=_limits(arguments),
        unfamiliar=arguments.unfamiliar,
        other_data=arguments.other_data,
    )
    manifest = export_bundle(checkpoint, order)
    for name, variant in manifest.variants.items():
        accuracy = f"{variant.accuracy:.2%} on {variant.test_count} test pictures"
        print(f"{folder} {name}: {accuracy}, ECE {variant.ece:.4f}, {variant.size_bytes / 1e6:.1f} MB")
    print(f"{len(manifest.gates)} gates passed; the card is {folder / 'card' / 'README.md'}")


def _limits(arguments: argparse.Namespace) -> Limits:
    given = {name: value for name in _LIMITS if (value := getattr(arguments, name)) is not None}
    return Limits(**given, explicit=frozenset(given))


def _verify(given: list[str]) -> None:
    for finding in verify_bundle(_parse_bundle("verify", "check a bundle again", given)):
        print(finding)


def _show(given: list[str]) -> None:
    print(show_bundle(_parse_bundle("show", "print a bundle as a table", given)))


def _check_target(given: Path) -> Path:
    """A bundle's place says its model and version, which the service reads there."""
    place = _in_full(given)
    if not place.parent.name or not place.name.isdecimal():
        raise BundleError(f"--to {str(given)!r} is no MODEL/VERSION with a number as version: name one so")
    refuse_existing(given)
    return place


def _in_full(folder: Path) -> Path:
    """With the names of model and version at its end, as `.` and `..` have none."""
    # Not resolve(): a model that is a link to a folder elsewhere is called as the link.
    return Path(os.path.abspath(folder))  # noqa: PTH100


def _model_name(run: Path) -> str:
    """A run is called as its folder, and a bundle, whose weights may be exported anew, as its model."""
    return run.parent.name if run.name.isdecimal() else run.name


def _next_version(folder: Path) -> Path:
    taken = [int(child.name) for child in folder.glob("*") if child.name.isdecimal()]
    return folder / str(max(taken, default=0) + 1)


def _parse_bundle(action: str, what: str, given: list[str]) -> Path:
    parser = argparse.ArgumentParser(prog=f"python -m export {action}", description=what)
    parser.add_argument("bundle", type=Path, help="folder MODEL/VERSION, such as artifacts/resnet/3")
    return _in_full(parser.parse_args(given).bundle)


def _parse_export(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__, epilog=_EPILOG)
    add = parser.add_argument
    add("run", type=Path, help="folder with checkpoint.safetensors: of a run, or of a bundle")
    add("--to", type=Path, help="folder MODEL/VERSION to write (default: artifacts/RUN/, the next version)")
    add("--data", help="cifar10 or a folder (default: what the run was trained on)")
    add("--other-data", action="store_true", help="accept data that changed since the training")
    add("--unfinished", action="store_true", help="accept a run that has not ended")
    add("--float-only", action="store_true", help="no int8")
    add("--unfamiliar", type=Path, help="folder of pictures of other things, to see how many are caught")
    defaults = dataclasses.asdict(Limits())
    for name, what in _LIMITS.items():
        option = f"--{name.replace('_', '-')}"
        loosened = f", and {_LOOSENED[name]}" if name in _LOOSENED else ""
        add(option, type=_share, help=f"{what} (default: {defaults[name]:g}{loosened})")
    return parser.parse_args(given)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
