"""A traced network and real pictures in, the same network in 8-bit integers from the raw bytes on out."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
    shape_inference,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from export.names import INPUT, LOGITS
from export.scratch import ScratchError, scratch_folder
from train.networks import NetworkError
from train.preprocess import PIXEL_MEAN, PIXEL_STD

CALIBRATION_BATCH = 32


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Feeds normalised pictures, float32 (N, 3, side, side)."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self._batches = self._read(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next batch, or None after the last."""
        return next(self._batches, None)

    @staticmethod
    def _read(images: NDArray[np.uint8]) -> Iterator[dict[str, NDArray[np.float32]]]:
        for start in range(0, len(images), CALIBRATION_BATCH):
            batch = images[start : start + CALIBRATION_BATCH].transpose(0, 3, 1, 2).astype(np.float32)
            yield {INPUT: (batch - np.float32(PIXEL_MEAN)) / np.float32(PIXEL_STD)}


def quantize(network: onnx.ModelProto, images: NDArray[np.uint8]) -> onnx.ModelProto:
    """Quantise statically: uint8 activations, int8 weights per channel.

    Activation ranges are the largest seen. The layer that gives the logits stays in float, because 256
    levels would be too coarse for confidences. The mean and deviation of the preprocessing make the raw byte
    the network's first quantised activation, so nothing is computed before the first convolution.

    Args:
        network: from normalised float pictures to `logits`.
        images: uint8 (N, side, side, 3) of training, not augmented.

    Raises:
        NetworkError: it, or its first layer, can't be quantised.
        ScratchError: the temporary folder is full.

    Returns:
        uint8 `images` (N, side, side, 3) to `logits`.
    """
    try:
        # Twice the network, because ranges are measured in a copy of it with more outputs.
        with scratch_folder(2 * network.ByteSize()) as folder:
            quantized = _quantize_in(folder, network, images)
    except ScratchError:
        raise
    except Exception as error:  # ONNX Runtime's tools fail in any way on what they do not know
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise NetworkError(
            f"the network can't be quantised ({reason}): export it with --float-only"
        ) from error
    _read_raw_bytes(quantized.graph)
    return quantized


def _quantize_in(folder: Path, network: onnx.ModelProto, images: NDArray[np.uint8]) -> onnx.ModelProto:
    source, prepared, target = (str(folder / name) for name in ("source", "prepared", "target"))
    onnx.save_model(network, source)
    with _strict():
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        target,
        _Calibration(images),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        calibrate_method=CalibrationMethod.MinMax,
        nodes_to_exclude=[node.name for node in network.graph.node if LOGITS in node.output],
    )
    return onnx.load_model(target)


@contextmanager
def _strict() -> Iterator[None]:
    """ONNX Runtime only logs that optimising failed, and goes on with another graph: raise instead."""

    def stop(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            # Within its handler of the exception that it is about to forget.
            raise sys.exc_info()[1] or RuntimeError(record.getMessage())
        return True

    logger = logging.getLogger(shape_inference.__name__)
    logger.addFilter(stop)
    try:
        yield
    finally:
        logger.removeFilter(stop)


def _read_raw_bytes(graph: onnx.GraphProto) -> None:
    """Put the pixels themselves where the quantised input stands, channels first.

    A pixel p is normalised to (p - mean) / deviation, and that is what dequantising p gives with the scale
    1 / deviation and the zero point mean.
    """
    (image,) = graph.input
    readers = [node for node in graph.node if INPUT in node.input]
    if [node.op_type for node in readers] != ["QuantizeLinear"]:
        raise NetworkError(
            "int8 needs a network that begins with one layer that can be quantised, such as a convolution; "
            f"this one begins with {', '.join(node.op_type for node in readers)}: export it with --float-only"
        )
    (first,) = readers
    scale, zero_point = first.input[1:]
    for tensor in graph.initializer:
        if tensor.name == scale:
            tensor.CopyFrom(numpy_helper.from_array(np.array(1 / PIXEL_STD, np.float32), scale))
        elif tensor.name == zero_point:
            tensor.CopyFrom(numpy_helper.from_array(np.array(PIXEL_MEAN, np.uint8), zero_point))
    transpose = helper.make_node("Transpose", [INPUT], [first.output[0]], "channels_first", perm=[0, 3, 1, 2])
    graph.node.remove(first)
    graph.node.insert(0, transpose)
    batch, channels, height, width = (
        dimension.dim_param or dimension.dim_value for dimension in image.type.tensor_type.shape.dim
    )
    image.CopyFrom(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [batch, height, width, channels]))
