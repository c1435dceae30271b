"""Held-out logits in, calibration constants out: temperature, prediction sets, a low-confidence threshold."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

CALIBRATION_BINS = 15


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The divisor of the logits that makes the labels likeliest (Guo et al., arXiv 1706.04599).

    A standard normal prior on its logarithm keeps it near 1 where there are few pictures: a dozen that are
    all right would make any confidence look too low. Among thousands it weighs nothing.

    Args:
        logits: float (N, classes), of pictures that training did not see.
        labels: int64 (N,).
    """
    logits = logits.double()
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        misfit = F.cross_entropy(logits / log_temperature.exp(), labels, reduction="sum")
        loss = (misfit + log_temperature.square() / 2) / len(labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    # The last digits hang on the number of threads that added up, and would change the bundle.
    return float(f"{log_temperature.detach().exp():.6g}")


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
