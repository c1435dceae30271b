"""An image in, what a container of it does from its start to SIGTERM out."""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops.image.dockerfile import DockerfileError
from ops.image.namespaces import Container, running
from ops.image.replay import Image

READY_SECONDS, STOP_SECONDS = 60, 30
_PAUSE_SECONDS = 0.2
# As its own user, from within: every folder that takes a new file.
_TRY_TO_WRITE = """
import os
for top in ("/", "/app", "/venv", "/home", "/var/tmp", "/run", "/tmp", "/dev/shm"):
    name = os.path.join(top, "written")
    try:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
    except OSError:
        continue
    os.unlink(name)
    print(top)
"""


@dataclass
class Life:
    """What was seen; what it did not come as far as to show is None."""

    ready_seconds: float | None = None
    health: tuple[int, str] | None = None
    answer: str | None = None
    writable: list[str] = field(default_factory=list)
    facts: Mapping[str, str] = field(default_factory=dict)
    stop_status: int | None = None
    stop_seconds: float = 0
    log: str = ""


def live(image: Image, picture: Path) -> Life:
    """Start the image's command as its user, on a read-only root, without network; ask it; stop it.

    Raises:
        DockerfileError: it has no HEALTHCHECK by which to know that it is ready, or no port to ask at.
        Unavailable: nothing can be started here.
    """
    if image.health is None or not image.ports:
        raise DockerfileError(
            0, "HEALTHCHECK and EXPOSE have to be there: else nobody knows when and where to ask"
        )
    url = f"http://127.0.0.1:{image.ports[0].partition('/')[0]}/classify"
    life = Life()
    with tempfile.TemporaryFile() as output:
        with running(image.process(), output) as container:
            if _wait_until_ready(life, image.health.command, container):
                _observe(life, container, url, picture)
            begin = time.monotonic()
            life.stop_status = container.stop(STOP_SECONDS) if container.is_running() else None
            life.stop_seconds = time.monotonic() - begin
        output.seek(0)
        life.log = output.read().decode(errors="replace")
    return life


def _wait_until_ready(life: Life, health: Sequence[str], container: Container) -> bool:
    begin = time.monotonic()
    while container.is_running() and time.monotonic() - begin < READY_SECONDS:
        done = container.execute(health)
        life.health = done.returncode, (done.stdout + done.stderr).strip()
        if done.returncode == 0:
            life.ready_seconds = time.monotonic() - begin
            return True
        time.sleep(_PAUSE_SECONDS)
    return False


def _observe(life: Life, container: Container, url: str, picture: Path) -> None:
    asked = container.ask("-m", "ops.image.ask", url, str(picture))
    life.answer = _describe(asked.stdout) if asked.returncode == 0 else None
    life.writable = container.execute(["python", "-c", _TRY_TO_WRITE]).stdout.split()
    life.facts = container.facts()


def _describe(answer: str) -> str:
    """The class, its confidence and the model."""
    given = json.loads(answer)
    first, model = given["prediction"], given["model"]
    return f"{first['class']}, {first['confidence']:.2f}, by {model['name']}/{model['version']}"
