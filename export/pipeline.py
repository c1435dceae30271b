"""A checkpoint and its data in; graph, confidence, gates and, when all pass, a bundle out."""

import io
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image
from torch import Tensor

from export import confidence, gates
from export.graph import LOGITS, Deployable, build_graph, describe
from service.bundle import (
    GOLDEN,
    Golden,
    InputSpec,
    Manifest,
    Provenance,
    Variant,
    encode_golden,
    sha256,
    write_bundle,
)
from service.imaging import decode
from train.checkpoint import Checkpoint, CheckpointError, Facts
from train.data import Dataset, Pixels, load_dataset
from train.networks import count_parameters
from train.provenance import library_versions
from train.sources import list_pictures

logger = logging.getLogger(__name__)

GRAPH = "model.onnx"
PREDICTION_SET_ALPHA = 0.05
CONFIDENT_SHARE = 0.95  # of held-out pictures that are not called low confidence
GOLDEN_PICTURES = 10
BATCH = 100


@dataclass(frozen=True)
class Evaluated:
    """A split's logits, float32 (N, classes), as ONNX Runtime gives them, and its labels."""

    logits: Tensor
    labels: Tensor

    def probabilities(self, temperature: float) -> Tensor:
        """(N, classes)."""
        return torch.softmax(self.logits / temperature, dim=1)


def export_bundle(checkpoint: Checkpoint, source: str, folder: Path) -> Manifest:
    """Build, check, calibrate and measure; then write the bundle folder=<model>/<version> whole.

    Raises:
        CheckpointError: the checkpoint and the data do not belong together.
        DataError: pictures can't be decoded.
        GateError: the graph failed a gate; nothing is written.
        BundleError: the folder exists.
    """
    facts = checkpoint.facts
    network = checkpoint.model()
    dataset = _load_same_data(facts, source)

    # The temperature stands inside the graph, so a first graph without one is needed to fit it.
    uncalibrated = build_graph(Deployable(network, 1.0), facts.input_side, {})
    calibration = _evaluate(uncalibrated, dataset.held_out)
    temperature = confidence.fit_temperature(calibration.logits, calibration.labels)
    deployable = Deployable(network, temperature)
    metadata = describe(facts.class_names, facts.network, temperature)
    graph = build_graph(deployable, facts.input_side, metadata)

    gates.check_structure(graph, facts.input_side, len(facts.class_names))
    images, _ = next(dataset.held_out.batches(gates.PARITY_PICTURES))
    difference = gates.check_parity(graph, deployable, images)
    logger.info("parity: at most %.1e from PyTorch at batches %s", difference, gates.PARITY_BATCHES)
    variant = _measure(graph, temperature, calibration, _evaluate(graph, dataset.test))
    files = {GRAPH: graph, GOLDEN: encode_golden(_golden(deployable, dataset.held_out, facts.input_side))}
    manifest = Manifest(
        name=folder.parent.name,
        version=folder.name,
        architecture=facts.network,
        parameters=count_parameters(network),
        class_names=facts.class_names,
        input=InputSpec(height=facts.input_side, width=facts.input_side),
        files={name: sha256(content) for name, content in files.items()},
        variants={"fp32": variant},
        provenance=Provenance(
            dataset=facts.data_name,
            dataset_sha256=facts.data_sha256,
            recipe=facts.recipe,
            seed=facts.seed,
            git_commit=facts.git_commit,
            versions=library_versions("torch", "onnx", "onnxruntime", "pillow"),
        ),
    )
    write_bundle(manifest, files, folder)
    return manifest


def _load_same_data(facts: Facts, source: str) -> Dataset:
    listing = list_pictures(source)
    if listing.class_names != facts.class_names:
        raise CheckpointError(
            f"the checkpoint knows {facts.class_names}, the data has {listing.class_names}: "
            "give --data the folder that it was trained on"
        )
    dataset = load_dataset(listing, facts.input_side, facts.split_seed)
    # Pictures that moved between the splits would be calibrated on although the network has learnt them.
    if dataset.sha256 != facts.data_sha256:
        raise CheckpointError(
            f"data {dataset.name!r} holds other pictures than the network was trained on: "
            "restore them, or train again"
        )
    return dataset


def _evaluate(graph: bytes, pixels: Pixels) -> Evaluated:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    parts = [session.run([LOGITS], {"images": images.numpy()})[0] for images, _ in pixels.batches(BATCH)]
    return Evaluated(torch.cat([torch.from_numpy(part) for part in parts]), pixels.labels)


def _measure(graph: bytes, temperature: float, held_out: Evaluated, test: Evaluated) -> Variant:
    """Thresholds come from the held-out pictures, and what they lead to from test."""
    calibration = held_out.probabilities(temperature)
    probabilities = test.probabilities(temperature)
    return Variant(
        file=GRAPH,
        size_bytes=len(graph),
        accuracy=int((test.logits.argmax(1) == test.labels).sum()) / len(test.labels),
        test_count=len(test.labels),
        held_out_count=len(held_out.labels),
        ece=confidence.expected_calibration_error(probabilities, test.labels),
        temperature=temperature,
        prediction_set_alpha=PREDICTION_SET_ALPHA,
        prediction_set_quantile=confidence.prediction_set_quantile(
            calibration, held_out.labels, PREDICTION_SET_ALPHA
        ),
        low_confidence_threshold=confidence.low_confidence_threshold(calibration, CONFIDENT_SHARE),
    )


def _golden(deployable: Deployable, pixels: Pixels, side: int) -> Golden:
    """The first held-out picture of each class, with PyTorch's probabilities.

    As PNG of twice the network's size: the service's resize is checked too, and nothing that a photo's file
    says about its place and owner travels with the bundle.
    """
    firsts: dict[int, int] = {}
    for index, label in enumerate(pixels.labels.tolist()):
        firsts.setdefault(label, index)
    chosen, _ = pixels.take(torch.tensor(list(firsts.values())[:GOLDEN_PICTURES]))
    pictures = tuple(_enlarged_png(image) for image in chosen)
    images = np.stack([decode(picture, side, side) for picture in pictures])
    with torch.inference_mode():
        _, probabilities = deployable(torch.from_numpy(images))
    return Golden(pictures, probabilities.numpy())


def _enlarged_png(image: Tensor) -> bytes:
    buffer = io.BytesIO()
    picture = Image.fromarray(image.numpy())
    picture.resize((2 * picture.width, 2 * picture.height)).save(buffer, "PNG")
    return buffer.getvalue()
