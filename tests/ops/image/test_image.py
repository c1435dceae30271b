"""The image of the committed Dockerfile keeps each of its demands; a worse one is found out."""

from dataclasses import replace
from pathlib import Path

import pytest

from ops.image.demands import demands, describe
from ops.image.dockerfile import DockerfileError, parse
from ops.image.life import Life, live
from ops.image.replay import Image
from tests.support import PICTURES, ROOT

LIMIT = 500
OURS = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def failed(image: Image, life: Life, text: str | None = None, megabytes: int = LIMIT) -> set[str]:
    """The names of the demands that do not hold."""
    dockerfile = parse(text) if text else OURS
    return {one.name for one in demands(dockerfile, image, life, megabytes) if not one.holds}


def test_every_demand_holds(image: Image, life: Life) -> None:
    assert not failed(image, life), describe(demands(OURS, image, life, LIMIT)) + life.log


def test_its_log_says_that_it_stopped_when_asked(life: Life) -> None:
    assert "stopping: requests in flight may finish" in life.log
    assert "Traceback" not in life.log


def test_it_is_told_how_large_it_is(image: Image, life: Life) -> None:
    assert failed(image, life, megabytes=100) == {"size"}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"base": "python:3.11-slim"}, "base"),
        ({"base": "python"}, "base"),
        ({"user": "10001:0"}, "user"),
        ({"labels": {}}, "labels"),
        ({"is_exec_form": False}, "command"),
        ({"health": None}, "health check"),
        ({"stop_signal": "SIGKILL"}, "stops"),
    ],
)
def test_worse_configuration_is_found_out(
    changes: dict[str, object], name: str, image: Image, life: Life
) -> None:
    assert name in failed(replace(image, **changes), life)  # type: ignore[arg-type]


@pytest.mark.parametrize("base", ["python:3.11.15-slim-bookworm", f"python@sha256:{64 * 'a'}"])
def test_exact_base_is_taken(base: str, image: Image, life: Life) -> None:
    assert not failed(replace(image, base=base), life)


def test_packages_without_hashes_are_found_out(image: Image, life: Life) -> None:
    assert failed(image, life, "FROM a\nRUN pip install --no-cache-dir numpy") == {"packages"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("venv/lib/python3.11/site-packages/torch", "training"),
        ("usr/bin/x86_64-linux-gnu-gcc-12", "compilers"),
        ("venv/bin/pip3.11", "installers"),
        ("venv/lib/python3.11/site-packages/setuptools-65.5.0.dist-info", "installers"),
        ("root/.cache/pip", "installers"),
        ("app/tests", "/app"),
    ],
)
def test_what_does_not_belong_there_is_found_out(path: str, name: str, image: Image, life: Life) -> None:
    place = image.root / path
    made = [parent for parent in (place, *place.parents) if not parent.exists()]
    place.mkdir(parents=True)
    try:
        assert failed(image, life) == {name}
    finally:
        for folder in made:
            folder.rmdir()


def test_code_that_the_service_could_change_is_found_out(image: Image, life: Life) -> None:
    file: Path = image.root / "app" / "service" / "app.py"
    mode = file.stat().st_mode
    file.chmod(0o666)
    try:
        assert failed(image, life) == {"owned by its user"}
    finally:
        file.chmod(mode)


def test_life_that_never_began_fails_all_that_it_was_to_show(image: Image) -> None:
    lived = {"ready", "healthy", "classifies", "writes to", "runs as", "stops"}
    assert failed(image, Life()) == lived


def test_command_that_ends_at_once_is_told_with_what_it_said(image: Image) -> None:
    life = live(replace(image, command=["python", "-c", "print('the reason')"]), PICTURES / "cat.png")
    assert (life.ready_seconds, life.stop_status) == (None, None)
    assert "the reason" in life.log


def test_image_without_a_health_check_cannot_be_waited_for(image: Image) -> None:
    with pytest.raises(DockerfileError, match="nobody knows when and where to ask"):
        live(replace(image, health=None), PICTURES / "cat.png")
