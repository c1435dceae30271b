"""`python -m export runs/NETWORK`: turn a trained network into a bundle under artifacts/."""

import argparse
import logging
import sys
from pathlib import Path

from export.gates import GateError
from export.pipeline import export_bundle
from service.bundle import refuse_existing
from service.errors import BundleError
from train.checkpoint import FILE_NAME, CheckpointError, load_checkpoint
from train.folder import data_of_run
from train.networks import NetworkError
from train.sources import DataError, default_source

ARTIFACTS = Path("artifacts")


def main() -> int:
    """Parse, export, report; the exit status: 1 for a failed gate, 2 for bad input."""
    arguments = _parse()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    for chatty in ("onnxscript", "onnx_ir"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        checkpoint = load_checkpoint(arguments.run / FILE_NAME)
        folder = arguments.to or _next_version(ARTIFACTS / arguments.run.resolve().name)
        refuse_existing(folder)
        source = arguments.data or data_of_run(arguments.run) or default_source()
        manifest = export_bundle(checkpoint, source, folder)
    except GateError as error:
        print(f"export: {error}; nothing was written", file=sys.stderr)
        return 1
    except (CheckpointError, NetworkError, DataError, BundleError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("export: stopped; nothing was written", file=sys.stderr)
        return 130
    variant = manifest.variants["fp32"]
    print(
        f"{folder}: {variant.accuracy:.2%} on {variant.test_count} test pictures, ECE {variant.ece:.4f}, "
        f"{variant.size_bytes / 1e6:.1f} MB"
    )
    return 0


def _next_version(folder: Path) -> Path:
    taken = [int(child.name) for child in folder.glob("*") if child.name.isdecimal()]
    return folder / str(max(taken, default=0) + 1)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a training run, such as runs/resnet")
    parser.add_argument(
        "--to", type=Path, help="folder MODEL/VERSION to write (default: artifacts/RUN/, the next version)"
    )
    parser.add_argument("--data", help="cifar10 or a folder (default: what the run was trained on)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
