"""The image of the committed Dockerfile, made once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.image import base, namespaces
from ops.image.build import build
from ops.image.dockerfile import parse
from ops.image.life import Life, live
from ops.image.replay import Image
from tests.support import PICTURES, ROOT

CACHE = ROOT / "runs" / "image"  # as the command has it, so that neither waits for what the other has made


@pytest.fixture(scope="session")
def archive() -> Path:
    """The stand-in for the base image."""
    try:
        namespaces.check_available()
        return base.base_archive(CACHE)
    except namespaces.Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def image(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Half a gigabyte, which is not kept."""
    folder = tmp_path_factory.mktemp("image")
    try:
        yield build(parse((ROOT / "Dockerfile").read_text(encoding="utf-8")), ROOT, folder, CACHE, archive)
    except namespaces.Unavailable as error:
        pytest.skip(str(error))
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def life(image: Image) -> Life:
    """What it did once, from its start to its end."""
    return live(image, PICTURES / "cat.png")
