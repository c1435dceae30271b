"""A Dockerfile and its folder in, its image out, with what this machine can have stand in for a registry."""

from functools import partial
from pathlib import Path

from ops.image import base
from ops.image.context import read_context
from ops.image.dockerfile import Dockerfile
from ops.image.namespaces import check_available
from ops.image.replay import Given, Image, replay

_WHEELS = "wheels"


def build(
    dockerfile: Dockerfile, context: Path, folder: Path, cache: Path, archive: Path | None = None
) -> Image:
    """Carry it out.

    Args:
        dockerfile: what is to be done.
        context: the folder that it copies from, with the requirements.txt that it installs.
        folder: where each stage gets a root.
        cache: where the base and the wheels stay for the next time.
        archive: a tar of the base's root, instead of the stand-in.

    Raises:
        DockerfileError: no image comes of it.
        Unavailable: this machine can't make one.
    """
    check_available()
    wheels = base.wheels(cache, context / "requirements.txt")
    given = Given(
        context=read_context(context),
        unpack=partial(base.unpack, archive or base.base_archive(cache)),
        binds={_WHEELS: wheels},
        # So that no RUN needs a network, and none has one.
        environment={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"/run/{_WHEELS}"},
    )
    return replay(dockerfile, given, folder)
