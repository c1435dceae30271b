import pytest
import torch

from export.confidence import (
    Scaling,
    confident_share,
    expected_calibration_error,
    fit_scaling,
    low_confidence_threshold,
    prediction_set_quantile,
)


def drawn(count: int, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and labels drawn from softmax(logits / temperature)."""
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(count, 5, generator=generator)
    probabilities = torch.softmax(logits / temperature, dim=1)
    return logits, torch.multinomial(probabilities, 1, generator=generator)[:, 0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    scaling = fit_scaling(*drawn(20_000, temperature))
    assert scaling.temperature == pytest.approx(temperature, rel=0.05)
    assert scaling.curvature == 0


@pytest.mark.parametrize("scale", [5.0, 50.0])
@pytest.mark.parametrize("right", [True, False])
def test_few_pictures_cannot_drive_the_temperature_far(right: bool, scale: float) -> None:
    logits = scale * torch.eye(3)
    labels = torch.arange(3) if right else torch.arange(3).roll(1)
    scaling = fit_scaling(logits, labels)
    assert 0.3 < scaling.temperature < 40
    assert scaling.curvature == 0


def test_scaling_that_made_the_labels_is_found() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, 5, generator=generator)
    probabilities = torch.softmax(Scaling(0.8, 0.25)(logits), 1)
    found = fit_scaling(logits, torch.multinomial(probabilities, 1, generator=generator)[:, 0])
    assert found.temperature == pytest.approx(0.8, rel=0.1)
    assert found.curvature == pytest.approx(0.25, rel=0.1)


def test_scaling_leaves_the_order_of_classes() -> None:
    logits = 4 * torch.randn(100, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Scaling(0.8, 0.25)(logits).argsort(1), logits.argsort(1))


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    probabilities = torch.tensor([[0.8, 0.2]] * 10)
    labels = torch.tensor([0] * 6 + [1] * 4)
    assert expected_calibration_error(probabilities, labels) == pytest.approx(0.2)


def test_calibration_error_of_certain_and_right_answers_is_zero() -> None:
    assert expected_calibration_error(torch.eye(3), torch.arange(3)) == 0


def test_calibrating_lowers_the_error() -> None:
    logits, labels = drawn(5_000, 2.5)
    before = expected_calibration_error(torch.softmax(logits, 1), labels)
    after = expected_calibration_error(torch.softmax(fit_scaling(logits, labels)(logits), 1), labels)
    assert after < before / 4


def test_prediction_sets_cover_what_they_claim() -> None:
    logits, labels = drawn(20_000, 1.0)
    probabilities = torch.softmax(logits, 1)
    quantile = prediction_set_quantile(probabilities[:10_000], labels[:10_000], alpha=0.1)
    true_class = probabilities[10_000:].gather(1, labels[10_000:, None])
    assert float((true_class >= 1 - quantile).float().mean()) == pytest.approx(0.9, abs=0.01)


def test_too_few_pictures_for_the_claim_give_full_sets() -> None:
    assert prediction_set_quantile(torch.tensor([[0.9, 0.1]]), torch.tensor([0]), alpha=0.05) == 1.0


@pytest.mark.parametrize("count", [1, 9, 19, 20, 21, 24, 101, 1_000])
def test_threshold_lets_at_least_the_share_pass(count: int) -> None:
    probabilities = torch.softmax(drawn(count, 1.0)[0], 1)
    threshold = low_confidence_threshold(probabilities, passing=0.95)
    assert 0.95 <= confident_share(probabilities, threshold) < 0.95 + 1 / count
