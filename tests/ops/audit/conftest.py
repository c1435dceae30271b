"""An environment that is quick to look at."""

import importlib.metadata
import venv
from pathlib import Path

import pytest

from ops.audit.pins import read_pins
from tests.support import ROOT


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python that has what is shipped, and one package more: their metadata, from beside these tests."""
    folder = tmp_path_factory.mktemp("shipped")
    venv.create(folder)
    packages = folder / "lib" / "python3.11" / "site-packages"
    for name in (*read_pins(ROOT / "requirements.txt"), "httpx"):
        (metadata,) = {
            Path(file.locate()).parent
            for file in importlib.metadata.files(name) or ()
            if file.name == "METADATA" and file.parent.suffix == ".dist-info"
        }
        (packages / metadata.name).symlink_to(metadata)
    return str(folder / "bin" / "python")
