"""A checkpoint and its data in; graphs, confidence, gates and, when all pass, a bundle out."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from export import gates
from export.card import FOLDER as CARD
from export.card import Findings, write_card
from export.confidence import Scaling
from export.engines import accuracy_by_engine
from export.figures import check_figures
from export.fusion import inspect_fusion
from export.golden import make_golden
from export.graph import LICENSE, FromPixels, describe, finish, trace_from_pixels, trace_network
from export.latency import measure_latency
from export.measure import Measured, calibrate, evaluate, measure
from export.quantize import quantize
from export.unfamiliar import read_unfamiliar
from service import openvino
from service.bundle import (
    GOLDEN,
    Gate,
    InputSpec,
    Manifest,
    Provenance,
    Variant,
    VariantName,
    encode_golden,
    sha256,
    write_bundle,
)
from service.session import open_session
from train.checkpoint import (
    FILE_NAME,
    Checkpoint,
    CheckpointError,
    Facts,
    encode_checkpoint,
    weights_sha256,
)
from train.data import Dataset, Pixels, load_dataset
from train.networks import count_parameters
from train.provenance import library_versions
from train.sources import list_pictures

logger = logging.getLogger(__name__)

GRAPHS: dict[VariantName, str] = {"fp32": "model.onnx", "int8": "model.int8.onnx"}
CALIBRATION_PICTURES = 512
_SAMPLING_SEED = 0


@dataclass(frozen=True)
class Order:
    """What to export, and how strictly."""

    folder: Path  # <model>/<version> to write
    source: str  # the data that the checkpoint was trained on
    variants: Sequence[VariantName] = ("fp32", "int8")
    limits: gates.Limits = dataclasses.field(default_factory=gates.Limits)
    unfamiliar: Path | None = None  # pictures of none of the classes
    other_data: bool = False  # calibrate and measure although the network was trained on other pictures


@dataclass(frozen=True)
class Candidate:
    """A finished graph of one variant, and what was measured with it."""

    graph: bytes
    session: onnxruntime.InferenceSession
    measured: Measured

    def variant(self, name: VariantName) -> Variant:
        """As the manifest has it."""
        return self.measured.variant(GRAPHS[name], self.graph)


def export_bundle(checkpoint: Checkpoint, order: Order) -> Manifest:
    """Build, calibrate, measure and check every variant; then write the bundle whole.

    Raises:
        CheckpointError: the checkpoint and the data do not belong together.
        NetworkError: the checkpoint's network does not exist here, or can't be traced.
        DataError: the data can't be read.
        GateError: a graph failed a gate; nothing is written.
        BundleError: the folder exists, or can't be written; nothing is left of it then.
        ScratchError: the temporary folder is full.
    """
    facts = checkpoint.facts
    network = checkpoint.model()
    dataset = _load_data(facts, order)
    side = facts.input_side
    unfamiliar = read_unfamiliar(order.unfamiliar, side) if order.unfamiliar else None
    log = gates.GateLog()

    traced: dict[VariantName, onnx.ModelProto] = {"fp32": trace_from_pixels(network, side)}
    if "int8" in order.variants:
        logger.info("quantising on %d training pictures", min(CALIBRATION_PICTURES, len(dataset.train)))
        traced["int8"] = quantize(trace_network(network, side), _calibration_pictures(dataset))
    weights = weights_sha256(checkpoint.weights)
    candidates: dict[VariantName, Candidate] = {}
    for name, model in traced.items():
        logger.info("measuring %s", name)
        candidates[name] = _make_candidate(model, checkpoint, dataset, unfamiliar, weights)
        if name != "fp32":
            candidates[name] = _compared(candidates[name], candidates["fp32"], dataset.test)
        _check(log, name, candidates, checkpoint, dataset, order.limits)
    scaling = candidates["fp32"].measured.calibration.scaling
    if "fp32" not in order.variants:
        del candidates["fp32"]

    sessions = {name: one.session for name, one in candidates.items()}
    golden = make_golden(network, scaling, sessions, dataset, side)
    files = {GRAPHS[name]: one.graph for name, one in candidates.items()} | {GOLDEN: encode_golden(golden)}
    manifest = Manifest(
        name=order.folder.parent.name,
        version=order.folder.name,
        architecture=facts.network,
        parameters=count_parameters(network),
        class_names=facts.class_names,
        input=InputSpec(height=side, width=side),
        files={name: sha256(content) for name, content in files.items()},
        variants={name: one.variant(name) for name, one in candidates.items()},
        unfamiliar=order.unfamiliar.resolve().name if order.unfamiliar else None,
        gates=tuple(Gate(**dataclasses.asdict(passed)) for passed in log.passed),
        weights_sha256=weights,
        license=LICENSE,
        provenance=Provenance(
            dataset=facts.data_name,
            dataset_sha256=facts.data_sha256,
            measured_sha256=dataset.sha256 if dataset.sha256 != facts.data_sha256 else None,
            split_seed=facts.split_seed,
            recipe=facts.recipe,
            seed=facts.seed,
            git_commit=facts.git_commit,
            versions=library_versions("torch", "onnx", "onnxruntime", "pillow", *_plugins(candidates)),
        ),
    )
    card = _write_card(manifest, candidates, dataset)
    weights_file = {FILE_NAME: encode_checkpoint(checkpoint)}
    write_bundle(manifest, {**files, **weights_file, **card}, order.folder)
    return manifest


def _plugins(candidates: Mapping[VariantName, Candidate]) -> Sequence[str]:
    """Packages besides ONNX Runtime that a figure was measured with."""
    measured = {engine for one in candidates.values() for engine in one.measured.engines}
    return [openvino.PACKAGE] if "openvino" in measured else []


def _load_data(facts: Facts, order: Order) -> Dataset:
    listing = list_pictures(order.source)
    if listing.class_names != facts.class_names:
        raise CheckpointError(
            f"the checkpoint knows {facts.class_names}, the data has {listing.class_names}: "
            "give --data the folder that it was trained on"
        )
    dataset = load_dataset(listing, facts.input_side, facts.split_seed)
    # Pictures that moved between the splits would be calibrated on although the network has learnt them.
    if dataset.sha256 != facts.data_sha256 and not order.other_data:
        raise CheckpointError(
            f"data {dataset.name!r} holds other pictures than the network was trained on: "
            "restore them, train again, or accept these with --other-data if none that it was trained on is "
            "held out or in the test now"
        )
    return dataset


def _calibration_pictures(dataset: Dataset) -> NDArray[np.uint8]:
    images: NDArray[np.uint8] = _drawn(dataset.train, CALIBRATION_PICTURES).numpy()
    return images


def _sample(pixels: Pixels) -> torch.Tensor:
    """Pictures of all classes for the gates that compare; a split lies class by class."""
    return _drawn(pixels, gates.PARITY_PICTURES)


def _drawn(pixels: Pixels, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(_SAMPLING_SEED)
    return pixels.take(torch.randperm(len(pixels), generator=generator)[:count])[0]


def _make_candidate(
    model: onnx.ModelProto,
    checkpoint: Checkpoint,
    dataset: Dataset,
    unfamiliar: NDArray[np.uint8] | None,
    weights: str,
) -> Candidate:
    """Calibrate on the held-out pictures, then measure on test what that leads to."""
    # The scaling stands inside the graph, so one without is needed to fit it.
    uncalibrated = open_session(finish(model, Scaling(1.0), {}))
    held_out = evaluate(uncalibrated, dataset.held_out)
    calibration = calibrate(held_out)
    facts = checkpoint.facts
    metadata = describe(facts.class_names, facts.network, facts.recipe, weights, calibration.scaling)
    graph = finish(model, calibration.scaling, metadata)
    session = open_session(graph)
    measured = measure(calibration, held_out, evaluate(session, dataset.test))
    if unfamiliar is not None:
        measured = dataclasses.replace(measured, unfamiliar_caught=measured.caught(session, unfamiliar))
    return Candidate(graph, session, measured)


def _compared(one: Candidate, reference: Candidate, test: Pixels) -> Candidate:
    """With what only int8 has: how it agrees with fp32, and other engines."""
    agreement = one.measured.test.agreement(reference.measured.test)
    engines = accuracy_by_engine(one.graph, test)
    return dataclasses.replace(
        one, measured=dataclasses.replace(one.measured, agreement=agreement, engines=engines)
    )


def _check(
    log: gates.GateLog,
    name: VariantName,
    candidates: Mapping[VariantName, Candidate],
    checkpoint: Checkpoint,
    dataset: Dataset,
    limits: gates.Limits,
) -> None:
    """Put one variant through every gate; int8 is compared with fp32, and that with PyTorch.

    Raises:
        GateError: the first gate that failed.
    """
    one = candidates[name]
    facts = checkpoint.facts
    gates.check_structure(log, name, one.graph, facts.input_side, len(facts.class_names))
    images = _sample(dataset.held_out)
    pixels: NDArray[np.uint8] = images.numpy()
    gates.check_independence(log, name, one.session, pixels, limits)
    if name == "fp32":
        with torch.inference_mode():
            logits = FromPixels(checkpoint.model())(images)
            probabilities = torch.softmax(one.measured.calibration.scaling(logits), 1)
        gates.check_parity(log, name, one.session, pixels, (logits.numpy(), probabilities.numpy()), limits)
    reference = None if name == "fp32" else candidates["fp32"].variant("fp32")
    check_figures(log, name, one.variant(name), reference, limits)


def _write_card(
    manifest: Manifest, candidates: Mapping[VariantName, Candidate], dataset: Dataset
) -> dict[str, bytes]:
    """The card's files by their paths in the bundle."""
    logger.info("timing")
    pictures: NDArray[np.uint8] = _sample(dataset.held_out).numpy()
    findings = Findings(
        measured={name: one.measured for name, one in candidates.items()},
        fusion={name: inspect_fusion(one.graph) for name, one in candidates.items()},
        latency=measure_latency({name: one.session for name, one in candidates.items()}, pictures),
        dataset=dataset,
    )
    return {f"{CARD}/{name}": content for name, content in write_card(manifest, findings).items()}
