"""A bundle in, every check of it that needs neither its network in PyTorch nor its data out."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from export import gates
from service.bundle import read_bundle
from service.classifier import Classifier, open_session
from service.errors import BundleError
from service.imaging import decode
from train.checkpoint import FILE_NAME, load_checkpoint, weights_sha256


def verify_bundle(folder: Path) -> Iterator[str]:
    """Check hashes, golden pictures and graphs; say what held, check by check.

    Raises:
        BundleError: files or golden answers are not what the manifest says.
        GateError: a graph does not pass a gate.
    """
    bundle = read_bundle(folder)
    manifest = bundle.manifest
    yield f"{len(manifest.files)} files have the SHA-256 that the manifest names"
    weights = folder / FILE_NAME
    if weights.exists():  # images of the service leave them out
        if weights_sha256(load_checkpoint(weights).weights) != manifest.weights_sha256:
            raise BundleError(
                f"bundle {str(folder)!r}: {FILE_NAME} holds other weights than its manifest names"
            )
        yield "the weights have the SHA-256 that the manifest names"
    side = manifest.input.height, manifest.input.width
    pixels = np.stack([decode(picture, *side) for picture in bundle.golden.pictures])
    for name in manifest.variants:
        Classifier(bundle, name)
        yield f"{name}: {len(pixels)} golden pictures come out as exported"
        graph = bundle.graph(name)
        log = gates.GateLog()
        gates.check_structure(log, name, graph.read_bytes(), manifest.input.height, len(manifest.class_names))
        gates.check_independence(log, name, open_session(graph), pixels, gates.Limits())
        for passed in log.passed:
            yield f"{name}: gate {passed.gate!r}: {passed.figure:g}, {passed.limit}"
