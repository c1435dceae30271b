"""A bundle in, every check of it that needs neither PyTorch nor the data out."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from export import gates
from service.bundle import read_bundle
from service.classifier import Classifier, open_session
from service.imaging import decode


def verify_bundle(folder: Path) -> Iterator[str]:
    """Check hashes, golden pictures and graphs; say what held, check by check.

    Raises:
        BundleError: files or golden answers are not what the manifest says.
        GateError: a graph does not pass a gate.
    """
    bundle = read_bundle(folder)
    manifest = bundle.manifest
    yield f"{len(manifest.files)} files have the SHA-256 that the manifest names"
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
