"""Real data, made data and a real server, for every test that wants them."""

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import httpx
import pytest

from loadtest.server import running_service
from tests.support import ROOT, Shapes, newest, rename_a_class, service_command
from tests.turns import turn

DEFAULT_DATA = ROOT.parent / "shared" / "cifar10"


def pytest_addoption(parser: pytest.Parser) -> None:
    """What tests see may be kept: `--screenshots FOLDER`, and the answers in the docs: `--write-answers`."""
    parser.addoption("--screenshots", type=Path, help="folder for a screenshot of each state of the page")
    parser.addoption("--write-answers", action="store_true", help="write what services answer into the docs")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool | None, bool | None]:
    """Have each test, with what it sets up, run in its turn."""
    assert item.config.cache is not None
    with turn(item.config.cache.mkdir("turns"), alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture(scope="session")
def cifar10() -> Path:
    """CIFAR-10 as a labelled folder."""
    folder = Path(os.environ.get("GLIMPSE_DATA") or DEFAULT_DATA)
    if not (folder / "test").is_dir():
        pytest.skip(f"needs CIFAR-10 as a labelled folder; {folder} holds none: set GLIMPSE_DATA")
    return folder


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small labelled folder that a network can learn in seconds: pictures of three colours of shape."""
    folder = tmp_path_factory.mktemp("data") / "shapes"
    Shapes(seed=0).write(folder)
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tests keep decoded pictures."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the committed models' bundles, without any that a user has put beside them."""
    folder = tmp_path_factory.mktemp("artifacts")
    for model in ("resnet", "cnn"):
        shutil.copytree(ROOT / "artifacts" / model, folder / model)
    return folder


@pytest.fixture
def mixed(artifacts: Path, tmp_path: Path) -> Path:
    """The committed models' newest bundles, of which cnn calls one class otherwise."""
    folder = tmp_path / "mixed"
    for model in ("resnet", "cnn"):
        source = newest(artifacts / model)
        shutil.copytree(source, folder / model / source.name)
    rename_a_class(newest(folder / "cnn"))
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_settings() -> None:
    """Tests set what they need; what the shell has set for a service is not for them."""
    for name in [name for name in os.environ if name.startswith("GLIMPSE_") and name != "GLIMPSE_DATA"]:
        del os.environ[name]


@pytest.fixture(scope="session")
def server(artifacts: Path) -> Iterator[str]:
    """The URL of the real service on the committed bundles."""
    with running_service(service_command(), {"GLIMPSE_ARTIFACTS": str(artifacts)}) as service:
        yield service.url


@pytest.fixture(scope="session")
def client(server: str) -> Iterator[httpx.Client]:
    """An HTTP client of the real service."""
    with httpx.Client(base_url=server, timeout=60) as http:
        yield http
