"""SECURITY.md says of every bound on what strangers may send by which setting it is moved."""

import re

from service.settings import PREFIX, Settings
from tests.support import ROOT

TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = set(re.findall(rf"`({PREFIX}\w+)`", TEXT))
# How long it takes to stop, which is up to nobody outside.
OWN = {"GLIMPSE_DRAIN_SECONDS", "GLIMPSE_GRACE_SECONDS"}


def test_every_setting_that_it_names_is_there() -> None:
    assert {f"{PREFIX}{name}".upper() for name in Settings.model_fields} >= NAMED


def test_it_names_every_bound() -> None:
    bounds = {
        f"{PREFIX}{name}".upper()
        for name in Settings.model_fields
        if name.startswith("max_") or name.endswith(("_seconds", "_bytes"))
    }
    assert bounds - OWN <= NAMED


def test_tests_that_it_names_are_there() -> None:
    for path in re.findall(r"`((?:tests|ops|docs)/[\w/.-]+)`", TEXT):
        assert (ROOT / path).exists(), path
