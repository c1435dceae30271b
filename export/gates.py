"""What a graph must pass before it may become a bundle; each gate has its figure and its limit."""

import math
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from export.bounds import Bound, rounded
from export.names import INPUT, LOGITS, OPSET, PROBABILITIES

PARITY_BATCHES = (1, 2, 3, 7, 32)
PARITY_PICTURES = 256

STRUCTURE = "structure"
INDEPENDENCE = "independence of the batch"
DETERMINISM = "determinism"
PARITY = "parity with PyTorch"

Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]  # logits and probabilities, each (N, classes)


class GateError(Exception):
    """A gate that failed, with its figure and its limit."""

    def __init__(self, variant: str, gate: str, finding: str) -> None:
        super().__init__(f"gate {gate!r} failed for {variant}: {finding}")


@dataclass(frozen=True)
class Limits:
    """What the gates demand; every number is an option of the command."""

    parity_atol: float = 1e-4  # |ours - theirs| <= atol + rtol * |theirs|
    parity_rtol: float = 1e-3
    min_accuracy: float = 0.0  # on test, as a share
    max_accuracy_loss: float = 0.003  # of int8 against float32, as a share of the test pictures
    min_agreement: float = 0.985  # of int8 with float32, likewise
    max_ece: float = 0.015  # on test
    max_coverage_gap: float = 0.01  # of prediction sets on test, from what they claim
    explicit: frozenset[str] = frozenset()  # names of those above that hold as they are, on any pictures

    def bound(self, name: str, chance: float = 0.0, pictures: int = 0) -> Bound:
        """The limit of that name, `max_...` or `min_...`.

        Args:
            name: of one of the numbers.
            chance: what so few pictures may be off by chance; it loosens a limit that is not explicit.
            pictures: how many there are.
        """
        # Rounded up, so that the words of the bound demand no more than the bound.
        allowance = 0.0 if name in self.explicit else math.ceil(1e4 * max(chance, 0)) / 1e4
        return Bound(
            side="most" if name.startswith("max") else "least",
            value=getattr(self, name),
            allowance=allowance,
            pictures=pictures if allowance else 0,
        )


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

    def check(self, variant: str, gate: str, figure: float, bound: Bound) -> None:
        """Raise GateError, which names both, unless the figure keeps the bound."""
        if not bound.kept_by(figure):
            raise failed(variant, gate, figure, bound)
        self.passed.append(Passed(variant, gate, rounded(figure), str(bound)))


def failed(variant: str, gate: str, figure: float, bound: Bound) -> GateError:
    """The error of a figure that does not keep its bound."""
    return GateError(variant, gate, f"{figure:.6g}, and must be {bound}")


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
        raise GateError(variant, STRUCTURE, str(error)) from error
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    if opsets != {"": OPSET}:
        raise GateError(
            variant, STRUCTURE, f"operator sets {opsets}, and must be the standard one at {OPSET}"
        )
    external = [tensor.name for tensor in model.graph.initializer if tensor.external_data]
    if external:
        raise GateError(variant, STRUCTURE, f"weights {', '.join(external)} are not in the file")
    expected = {
        INPUT: (onnx.TensorProto.UINT8, [None, side, side, 3]),
        LOGITS: (onnx.TensorProto.FLOAT, [None, num_classes]),
        PROBABILITIES: (onnx.TensorProto.FLOAT, [None, num_classes]),
    }
    found = {value.name: _type_and_shape(value) for value in (*model.graph.input, *model.graph.output)}
    if found != expected:
        raise GateError(variant, STRUCTURE, f"inputs and outputs are {found}, and must be {expected}")
    log.check(variant, STRUCTURE, 0, Bound("most", 0))


def check_parity(
    log: GateLog,
    variant: str,
    session: onnxruntime.InferenceSession,
    images: NDArray[np.uint8],
    expected: Outputs,
    limits: Limits,
) -> None:
    """Compare with PyTorch's outputs for `images` at several batch sizes; note where it is nearest its limit.

    Raises:
        GateError: a logit or a probability differs by more than atol + rtol * |expected|.
    """
    outputs = [run(session, images, size) for size in PARITY_BATCHES]
    ours = np.concatenate([output.ravel() for batch in outputs for output in batch])
    theirs = np.concatenate([output.ravel() for _ in outputs for output in expected])
    differences = np.abs(ours - theirs)
    allowed = limits.parity_atol + limits.parity_rtol * np.abs(theirs)
    with np.errstate(divide="ignore", invalid="ignore"):
        # NaN is the largest of all to argmax, and what is equal keeps any limit.
        nearest = int(np.where(differences == 0, 0, differences / allowed).argmax())
    rule = f"{limits.parity_atol:g} + {limits.parity_rtol:g} * |expected|"
    bound = Bound("most", float(allowed[nearest]), note=rule)
    log.check(variant, PARITY, float(differences[nearest]), bound)


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
    log.check(variant, INDEPENDENCE, max(differences), Bound("most", limits.parity_atol))
    again = max(
        float(np.abs(ours - one).max()) for ours, one in zip(run(session, images, 1), alone, strict=True)
    )
    log.check(variant, DETERMINISM, again, Bound("most", 0))


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
