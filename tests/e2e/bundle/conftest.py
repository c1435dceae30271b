"""A network trained on made pictures, and its bundle, by the documented commands."""

from pathlib import Path

import pytest

from tests.e2e.bundle.commands import command


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs and bundles of these tests go."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="session")
def trained(work: Path, shapes: Path) -> Path:
    network = "tests.support:tiny_network"
    command(work, "train", network, "--size", "16", "--data", str(shapes), "--to", "runs/shapes")
    return work / "runs" / "shapes"


@pytest.fixture(scope="session")
def bundle(work: Path, trained: Path) -> Path:
    command(work, "export", str(trained))
    return work / "artifacts" / "shapes" / "1"
