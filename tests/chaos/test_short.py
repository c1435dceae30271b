"""Every experiment in its short form, against the real service."""

import pytest

from chaos.catalogue import EXPERIMENTS
from chaos.experiment import Skipped
from chaos.lab import Lab

pytestmark = pytest.mark.alone

# tests/e2e/test_overload.py makes the same measurement, and keeps its figures for several tests.
_ELSEWHERE = {"overload"}
_SHORTER = {"soak": 10}


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name not in _ELSEWHERE])
def test_criterion_holds(name: str, lab: Lab) -> None:
    one = EXPERIMENTS[name]
    try:
        outcome = one.run(lab, _SHORTER.get(name, one.short))
    except Skipped as reason:
        pytest.skip(str(reason))
    assert list(outcome.breaches) == []
    assert all(outcome.figures.values())
