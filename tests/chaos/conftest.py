"""Where experiments are made: here, on a copy of the committed models."""

from pathlib import Path

import pytest

from chaos.lab import Lab


@pytest.fixture
def lab(artifacts: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("GLIMPSE_ARTIFACTS", str(artifacts))
    return Lab()
