"""A bundle in, every check of it that needs neither its network in PyTorch nor its data out."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from export import card, gates
from export.record import check_card, check_facts, check_gates, check_graph
from service.bundle import Bundle, VariantName, read_bundle
from service.classifier import Classifier
from service.errors import BundleError
from service.imaging import decode
from service.session import open_session
from train.checkpoint import FILE_NAME, load_checkpoint, weights_sha256


def verify_bundle(folder: Path) -> Iterator[str]:
    """Check hashes, golden pictures, graphs and what the manifest says of them; say what held.

    Images of the service leave out weights and card: where both are missing, that is sound.

    Raises:
        BundleError: files or golden answers are not what the manifest says, or it contradicts itself.
        GateError: a graph does not pass a gate.
    """
    bundle = read_bundle(folder)
    yield f"{len(bundle.manifest.files)} files have the SHA-256 that the manifest names"
    for name in bundle.manifest.variants:
        yield from _verify_variant(bundle, name)
    weights = folder / FILE_NAME
    if weights.exists():
        _verify_weights(bundle, weights)
        yield "the weights have the SHA-256 and the origin that the manifest names"
    if weights.exists() or (folder / card.FOLDER).exists():
        check_card(bundle)
        yield f"the card says what the manifest says, and has its {len(card.PICTURES)} pictures"


def _verify_weights(bundle: Bundle, weights: Path) -> None:
    checkpoint = load_checkpoint(weights)
    if weights_sha256(checkpoint.weights) != bundle.manifest.weights_sha256:
        raise BundleError(
            f"bundle {str(bundle.folder)!r}: {FILE_NAME} holds other weights than its manifest names"
        )
    check_facts(bundle, checkpoint.facts)


def _verify_variant(bundle: Bundle, name: VariantName) -> Iterator[str]:
    # First of all, because it refuses pictures that can't be decoded.
    Classifier(bundle, name)
    yield f"{name}: {len(bundle.golden.pictures)} golden pictures come out as exported"
    spec, graph = bundle.manifest.input, bundle.graph(name)
    session = open_session(graph)
    check_graph(bundle, name, session)
    yield f"{name}: the graph says of itself what the manifest says"
    yield f"{name}: {check_gates(bundle, name)} gates are recorded, and each figure keeps its limit"
    pixels = np.stack([decode(picture, spec.height, spec.width) for picture in bundle.golden.pictures])
    log = gates.GateLog()
    gates.check_structure(log, name, graph.read_bytes(), spec.height, len(bundle.manifest.class_names))
    gates.check_independence(log, name, session, pixels, gates.Limits())
    for passed in log.passed:
        yield f"{name}: gate {passed.gate!r} again: {passed.figure:g}, {passed.limit}"
