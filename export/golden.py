"""Held-out pictures in, the golden pictures and the answers that a service must give for them out."""

import io
from collections.abc import Mapping

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from export.confidence import Scaling
from export.gates import run
from export.graph import FromPixels
from service.bundle import Golden, VariantName
from service.imaging import decode
from train.data import Dataset, Pixels

GOLDEN_PICTURES = 10


def make_golden(
    network: nn.Module,
    scaling: Scaling,
    sessions: Mapping[VariantName, onnxruntime.InferenceSession],
    dataset: Dataset,
    side: int,
) -> Golden:
    """The first held-out picture of each of up to ten classes, with every variant's probabilities.

    Those of fp32 come from PyTorch itself; 8-bit arithmetic has no such reference, so int8's are what its
    graph gave here. The pictures are PNGs of twice the network's size: the service's resize is checked too,
    and nothing that a photo's file says about its place and owner travels with the bundle.
    """
    pictures = tuple(_enlarged_png(image) for image in _first_of_classes(dataset.held_out))
    images: NDArray[np.uint8] = np.stack([decode(picture, side, side) for picture in pictures])
    probabilities = {name: run(session, images, len(images))[1] for name, session in sessions.items()}
    if "fp32" in probabilities:
        with torch.inference_mode():
            logits = FromPixels(network).eval()(torch.from_numpy(images))
        probabilities["fp32"] = torch.softmax(scaling(logits), 1).numpy()
    return Golden(pictures, probabilities)


def _first_of_classes(pixels: Pixels) -> Tensor:
    firsts: dict[int, int] = {}
    for position, label in enumerate(pixels.labels.tolist()):
        firsts.setdefault(label, position)
    return pixels.take(torch.tensor(list(firsts.values())[:GOLDEN_PICTURES]))[0]


def _enlarged_png(image: Tensor) -> bytes:
    buffer = io.BytesIO()
    picture = Image.fromarray(image.numpy())
    picture.resize((2 * picture.width, 2 * picture.height)).save(buffer, "PNG")
    return buffer.getvalue()
