"""Each figure of a variant against its limit; and what the committed bundles were held to."""

from pathlib import Path

import pytest

from export.bounds import read_bound
from export.figures import GATES, check_figures
from export.gates import GateError, GateLog, Limits
from export.verify import verify_bundle
from service.bundle import Manifest, Variant, read_bundle
from tests.service.test_bundle import make_manifest
from tests.support import newest

MANY = 10_000
# Of each gate: the option, and a field of int8 that keeps its default, misses it, and is explicitly allowed.
CASES = {
    "accuracy loss": ("max_accuracy_loss", "accuracy", 0.8975, 0.8965, 0.004),
    "agreement with fp32": ("min_agreement", "agreement", 0.986, 0.984, 0.98),
    "test accuracy": ("min_accuracy", "accuracy", 0.9, 0.9, 0.0),
    "expected calibration error": ("max_ece", "ece", 0.0149, 0.0151, 0.016),
    "coverage gap": ("max_coverage_gap", "coverage", 0.9401, 0.9399, 0.011),
}
MAX_ECE = {"resnet": 0.010, "cnn": 0.015}


def variant(count: int = MANY, **changed: float) -> Variant:
    """One that passes every gate by far."""
    fields = {"test_count": count, "held_out_count": count, "agreement": 1.0, "ece": 0.001, **changed}
    return make_manifest().variants["fp32"].model_copy(update=fields)


def check(one: Variant, limits: Limits) -> GateLog:
    log = GateLog()
    check_figures(log, "int8", one, variant(one.test_count), limits)
    return log


@pytest.mark.parametrize("gate", CASES)
def test_figure_that_keeps_its_limit_is_recorded_with_both(gate: str) -> None:
    option, field, kept, _, _ = CASES[gate]
    (passed,) = (one for one in check(variant(**{field: kept}), Limits()).passed if one.gate == gate)
    assert read_bound(passed.limit).value == getattr(Limits(), option)
    assert read_bound(passed.limit).kept_by(passed.figure)


@pytest.mark.parametrize("gate", [gate for gate in CASES if gate != "test accuracy"])
def test_figure_over_its_default_limit_fails_with_both(gate: str) -> None:
    option, field, _, missed, allowed = CASES[gate]
    limit = getattr(Limits(), option)
    with pytest.raises(GateError, match=rf"gate '{gate}' failed for int8: \S+, and must be at \w+ {limit}$"):
        check(variant(**{field: missed}), Limits())
    check(variant(**{field: missed}), Limits(**{option: allowed}))


def test_accuracy_under_its_limit_fails_with_both() -> None:
    with pytest.raises(GateError, match=r"gate 'test accuracy' failed for int8: 0\.9, .* at least 0\.91$"):
        check(variant(), Limits(min_accuracy=0.91))


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(), r"gate 'accuracy loss' failed for int8 by openvino: 0\.02, and must be at most 0\.003"),
        (
            Limits(max_accuracy_loss=1, min_accuracy=0.89),
            r"gate 'test accuracy' failed for int8 by openvino: 0\.88, and must be at least 0\.89",
        ),
    ],
)
def test_every_engine_is_held_to_the_limits_of_accuracy(limits: Limits, says: str) -> None:
    one = variant().model_copy(update={"engines": {"amx": 0.9, "openvino": 0.88}})
    with pytest.raises(GateError, match=says):
        check(one, limits)


@pytest.mark.parametrize(
    ("option", "field", "figure"),
    [
        ("max_accuracy_loss", "accuracy", 0.9 - 1 / 24),
        ("min_agreement", "agreement", 1 - 1 / 24),
        ("max_ece", "ece", 0.2),
        ("max_coverage_gap", "coverage", 0.85),
    ],
)
def test_few_pictures_loosen_a_default_and_never_an_explicit_limit(
    option: str, field: str, figure: float
) -> None:
    few = variant(24, **{field: figure})
    loosened = [passed.limit for passed in check(few, Limits()).passed if "24 pictures" in passed.limit]
    assert len(loosened) == 4
    limit = getattr(Limits(), option)
    with pytest.raises(GateError, match=rf"and must be at \w+ {limit}$"):
        check(few, Limits(explicit=frozenset({option})))


@pytest.mark.parametrize("model", MAX_ECE)
def test_committed_bundle_passed_every_gate_with_the_limits_that_it_should(
    model: str, artifacts: Path
) -> None:
    manifest = read_bundle(newest(artifacts / model)).manifest
    assert manifest.variants.keys() == GATES.keys()
    for name, gates in GATES.items():
        assert [gate.gate for gate in manifest.gates if gate.variant == name] == list(gates)
    assert all(read_bound(gate.limit).kept_by(gate.figure) for gate in manifest.gates)
    limits = {(gate.variant, gate.gate): gate.limit for gate in manifest.gates}
    for name in GATES:
        assert limits[name, "expected calibration error"] == f"at most {MAX_ECE[model]:g}"
        assert limits[name, "coverage gap"] == "at most 0.01"


@pytest.mark.parametrize("model", MAX_ECE)
def test_committed_bundle_passes_verify_with_weights_and_card(model: str, artifacts: Path) -> None:
    findings = list(verify_bundle(newest(artifacts / model)))
    assert findings[-1] == "the card says what the manifest says, and has its 3 pictures"
    assert "the weights have the SHA-256 and the origin that the manifest names" in findings


@pytest.mark.parametrize("model", MAX_ECE)
def test_committed_bundle_is_as_good_as_it_should_be(model: str, artifacts: Path) -> None:
    manifest: Manifest = read_bundle(newest(artifacts / model)).manifest
    for one in manifest.variants.values():
        assert one.test_count == MANY
        assert one.ece <= MAX_ECE[model]
        assert abs(one.coverage - (1 - one.prediction_set_alpha)) <= 0.01
    fp32, int8 = manifest.variants["fp32"], manifest.variants["int8"]
    assert fp32.accuracy - int8.accuracy <= 0.003
    assert int8.agreement is not None
    assert int8.agreement >= 0.985
