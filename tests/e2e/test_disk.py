"""No room on any disk: the service counts less, and answers as ever."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from loadtest.server import running_service
from tests.support import PICTURES, counted, eventually, service_command

CAT = (PICTURES / "cat.png").read_bytes()

pytestmark = pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit, of util-linux")


@contextlib.contextmanager
def limited(size: int, artifacts: Path, log: Path) -> Iterator[httpx.Client]:
    """A client of a service that can't write files above `size`; it can write its log, to a pipe."""
    script = 'exec prlimit --fsize="$1" "${@:3}" 2> >(cat >"$2")'
    command = ["bash", "-c", script, "bash", str(size), str(log), *service_command()]
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "1"}
    with (
        running_service(command, settings) as service,
        httpx.Client(base_url=service.url, timeout=60) as http,
    ):
        yield http


@pytest.mark.parametrize(
    ("size", "says"),
    [
        (0, "no folder for figures can be made"),
        (10_000, "no room for figures (File too large)"),
        (20_000, "no room for figures (File too large)"),  # room for few only
    ],
)
def test_pictures_are_classified_and_the_log_says_what_is_not_counted(
    size: int, says: str, artifacts: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with limited(size, artifacts, log) as http:
        for _ in range(3):
            assert http.post("/classify", content=CAT).json()["prediction"]["class"] == "cat"
        # More than Starlette would keep in memory of a form, and less than is refused.
        large = {"file": ("large.png", CAT + bytes(9_000_000))}
        assert http.post("/classify", files=large).json()["prediction"]["class"] == "cat"
        assert http.post("/classify/batch", files=[("files", large["file"])]).json()["failed"] == 0
        assert http.get("/metrics").status_code == 200
    assert eventually(lambda: says in log.read_text())
    assert log.read_text().count("no room for figures") <= 1
    assert "Traceback" not in log.read_text()


def test_what_there_is_room_for_is_counted(artifacts: Path, tmp_path: Path) -> None:
    with limited(20_000, artifacts, tmp_path / "log") as http:
        http.post("/classify", content=CAT)
        assert eventually(lambda: counted(http, "glimpse_requests_total", route="/classify") == 1)
