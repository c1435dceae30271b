"""Held-out logits in, calibration constants out: scaling, prediction sets, a low-confidence threshold."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

CALIBRATION_BINS = 15
_WORTH_A_PARAMETER = 3.0  # nats
_FIRST_ROOT = 0.3  # at 0 it would stay


@dataclass(frozen=True)
class Scaling:
    """How sure a network is to be of its logits: what is done to them before softmax.

    With the distance d of each logit from the largest, -d / temperature - curvature * d^2. Without curvature
    that is temperature scaling. The order of the classes stays as it is.
    """

    temperature: float
    curvature: float = 0.0

    def __call__(self, logits: Tensor) -> Tensor:
        """Scaled logits; float (N, classes) both."""
        if not self.curvature:
            return logits / self.temperature
        below = logits - logits.max(1, keepdim=True).values
        return below * (1 / self.temperature - self.curvature * below)


def fit_scaling(logits: Tensor, labels: Tensor) -> Scaling:
    """The scaling that makes the labels likeliest.

    Temperature alone (Guo et al., arXiv 1706.04599), unless curvature makes the labels e^3 times as likely,
    which chance does once in a hundred times. Smoothed labels need it: what a network is sure of then has a
    distance near that of a smoothed label, and not much less is already doubtful.

    Args:
        logits: float (N, classes), of pictures that training did not see.
        labels: int64 (N,).
    """
    plain, misfit = _fit(logits.double(), labels, with_curvature=False)
    curved, less = _fit(logits.double(), labels, with_curvature=True)
    return curved if misfit - less > _WORTH_A_PARAMETER else plain


def _fit(logits: Tensor, labels: Tensor, *, with_curvature: bool) -> tuple[Scaling, float]:
    """The best scaling of its kind, and its misfit in nats.

    A standard normal prior on the temperature's logarithm keeps it near 1 where there are few pictures: a
    dozen that are all right would make any confidence look too low. Among thousands it weighs nothing.
    """
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    root = torch.full((), _FIRST_ROOT, dtype=torch.float64, requires_grad=True)  # of a curvature, never < 0
    parameters = [log_temperature, root] if with_curvature else [log_temperature]
    optimizer = torch.optim.LBFGS(parameters, max_iter=100, line_search_fn="strong_wolfe")
    below = logits - logits.max(1, keepdim=True).values

    def misfit() -> Tensor:
        steepness = (-log_temperature).exp() - (root.square() * below if with_curvature else 0)
        return F.cross_entropy(below * steepness, labels, reduction="sum") + log_temperature.square() / 2

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = misfit() / len(labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    # The last digits hang on the number of threads that added up, and would change the bundle.
    temperature = float(f"{log_temperature.detach().exp():.6g}")
    curvature = float(f"{root.detach().square():.6g}") if with_curvature else 0.0
    return Scaling(temperature, curvature), float(misfit().detach())


def expected_calibration_error(probabilities: Tensor, labels: Tensor) -> float:
    """Mean gap between confidence and accuracy, 0..1, over bins of equal width (Guo et al., section 2)."""
    confidence, predicted = probabilities.double().max(1)
    correct = (predicted == labels).double()
    bins = (confidence * CALIBRATION_BINS).long().clamp(max=CALIBRATION_BINS - 1)
    gaps = torch.zeros(CALIBRATION_BINS, dtype=torch.float64).index_add(0, bins, confidence - correct)
    return float(gaps.abs().sum() / len(labels))


def prediction_set_quantile(probabilities: Tensor, labels: Tensor, alpha: float) -> float:
    """The q for which {class: p >= 1 - q} misses at most a share `alpha` of true classes.

    Split conformal prediction (Sadinle et al., arXiv 1609.00451), with its correction for a finite sample.
    """
    scores = 1 - probabilities.double().gather(1, labels[:, None])[:, 0]
    rank = math.ceil((len(scores) + 1) * (1 - alpha))
    return float(scores.sort().values[rank - 1]) if rank <= len(scores) else 1.0


def low_confidence_threshold(probabilities: Tensor, passing: float) -> float:
    """The largest of the pictures' top probabilities that at least a share `passing` of them reaches."""
    ascending = probabilities.double().max(1).values.sort().values
    return float(ascending[math.floor((1 - passing) * len(ascending))])


def confident_share(probabilities: Tensor, threshold: float) -> float:
    """The share of the pictures, 0..1, whose top probability reaches the threshold."""
    return float((probabilities.double().max(1).values >= threshold).double().mean())


def prediction_sets(probabilities: Tensor, quantile: float) -> Tensor:
    """Which classes are in each picture's set, bool (N, classes); as the service decides it."""
    return probabilities >= 1 - quantile


def reliability(probabilities: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean confidence, accuracy and count of each confidence bin that holds pictures; each (bins,)."""
    confidence, predicted = probabilities.double().max(1)
    correct = (predicted == labels).double()
    bins = (confidence * CALIBRATION_BINS).long().clamp(max=CALIBRATION_BINS - 1)
    zeros = torch.zeros(CALIBRATION_BINS, dtype=torch.float64)
    counts = torch.bincount(bins, minlength=CALIBRATION_BINS)
    filled = counts > 0
    sums = (zeros.index_add(0, bins, values)[filled] for values in (confidence, correct))
    mean_confidence, accuracy = (total / counts[filled] for total in sums)
    return mean_confidence, accuracy, counts[filled]


def binomial_interval(right: int, count: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share."""
    z = 1.959964
    share = right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return middle - half, middle + half
