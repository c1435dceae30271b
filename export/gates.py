"""What a graph must pass before it may become a bundle; each gate has its figure and its limit."""

from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from export.names import INPUT, LOGITS, OPSET, PROBABILITIES

PARITY_BATCHES = (1, 2, 3, 7, 32)
PARITY_PICTURES = 256

Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]  # logits and probabilities, each (N, classes)


class GateError(Exception):
    """A gate that failed, with its figure and its limit."""

    def __init__(self, variant: str, gate: str, finding: str) -> None:
        super().__init__(f"gate {gate!r} failed for {variant}: {finding}")


@dataclass(frozen=True)
class Limits:
    """What the gates demand; every one is an option of the command."""

    parity_atol: float = 1e-4  # |ours - theirs| <= atol + rtol * |theirs|
    parity_rtol: float = 1e-3
    min_accuracy: float = 0.0  # on test, as a share
    max_accuracy_loss: float = 0.003  # of int8 against float32, as a share of the test pictures
    min_agreement: float = 0.985  # of int8 with float32, likewise
    max_ece: float = 0.015  # on test
    max_coverage_gap: float = 0.01  # of prediction sets on test, from what they claim


@dataclass(frozen=True)
class Passed:
    """A gate's figure and the limit that it kept."""

    variant: str
    gate: str
    figure: float
    limit: str


@dataclass
class GateLog:
    """Checks figures against limits, and remembers those that passed."""

    passed: list[Passed] = field(default_factory=list)

    def at_most(self, variant: str, gate: str, figure: float, limit: float) -> None:
        """Raise GateError unless `figure` <= `limit`; NaN never is."""
        self.check(variant, gate, figure, f"at most {limit:.4g}", holds=figure <= limit)

    def at_least(self, variant: str, gate: str, figure: float, limit: float) -> None:
        """Raise GateError unless `figure` >= `limit`; NaN never is."""
        self.check(variant, gate, figure, f"at least {limit:.4g}", holds=figure >= limit)

    def check(self, variant: str, gate: str, figure: float, limit: str, *, holds: bool) -> None:
        """Raise GateError with the figure and its limit in words unless it `holds`."""
        if not holds:
            raise GateError(variant, gate, f"{figure:.6g}, and must be {limit}")
        self.passed.append(Passed(variant, gate, float(f"{figure:.6g}"), limit))


def check_structure(log: GateLog, variant: str, graph: bytes, side: int, num_classes: int) -> None:
    """The checker's full pass, and the names, types and shapes that the service relies on.

    Raises:
        GateError: the graph is another one than intended.
    """
    try:
        model = onnx.load_model_from_string(graph)
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except Exception as error:  # protobuf, checker and inference share no base class
        raise GateError(variant, "structure", str(error)) from error
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    if opsets != {"": OPSET}:
        raise GateError(
            variant, "structure", f"operator sets {opsets}, and must be the standard one at {OPSET}"
        )
    external = [tensor.name for tensor in model.graph.initializer if tensor.external_data]
    if external:
        raise GateError(variant, "structure", f"weights {', '.join(external)} are not in the file")
    expected = {
        INPUT: (onnx.TensorProto.UINT8, [None, side, side, 3]),
        LOGITS: (onnx.TensorProto.FLOAT, [None, num_classes]),
        PROBABILITIES: (onnx.TensorProto.FLOAT, [None, num_classes]),
    }
    found = {value.name: _type_and_shape(value) for value in (*model.graph.input, *model.graph.output)}
    if found != expected:
        raise GateError(variant, "structure", f"inputs and outputs are {found}, and must be {expected}")
    log.at_most(variant, "structure", 0, 0)


def check_parity(
    log: GateLog,
    variant: str,
    session: onnxruntime.InferenceSession,
    images: NDArray[np.uint8],
    expected: Outputs,
    limits: Limits,
) -> None:
    """Compare with PyTorch's outputs for `images` at several batch sizes.

    Raises:
        GateError: a logit or a probability differs by more than atol + rtol * |expected|.
    """
    largest, holds = 0.0, True
    for size in PARITY_BATCHES:
        for ours, theirs in zip(run(session, images, size), expected, strict=True):
            difference = np.abs(ours - theirs)
            largest = max(largest, float(difference.max()))
            holds &= bool((difference <= limits.parity_atol + limits.parity_rtol * np.abs(theirs)).all())
    limit = f"at most {limits.parity_atol:g} + {limits.parity_rtol:g} * |expected|"
    log.check(variant, "parity with PyTorch", largest, limit, holds=holds)


def check_independence(
    log: GateLog,
    variant: str,
    session: onnxruntime.InferenceSession,
    images: NDArray[np.uint8],
    limits: Limits,
) -> None:
    """See that an answer depends neither on the other pictures of its batch, nor on chance.

    Raises:
        GateError: it does.
    """
    alone = run(session, images, 1)
    differences = [
        float(np.abs(ours - one).max())
        for size in PARITY_BATCHES[1:]
        for ours, one in zip(run(session, images, size), alone, strict=True)
    ]
    log.at_most(variant, "independence of the batch", max(differences), limits.parity_atol)
    again = max(
        float(np.abs(ours - one).max()) for ours, one in zip(run(session, images, 1), alone, strict=True)
    )
    log.at_most(variant, "determinism", again, 0.0)


def run(session: onnxruntime.InferenceSession, images: NDArray[np.uint8], batch_size: int) -> Outputs:
    """The graph's outputs for all images, computed `batch_size` at a time."""
    starts = range(0, len(images), batch_size)
    parts = [session.run([LOGITS, PROBABILITIES], {INPUT: images[i : i + batch_size]}) for i in starts]
    logits, probabilities = (np.concatenate(outputs) for outputs in zip(*parts, strict=True))
    return logits, probabilities


def _type_and_shape(value: onnx.ValueInfoProto) -> tuple[int, list[int | None]]:
    tensor = value.type.tensor_type
    return tensor.elem_type, [
        dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim
    ]
