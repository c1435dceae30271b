"""`python -m service tune` as a user runs it, on a real service."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from dotenv import dotenv_values

from loadtest.server import running_service
from service.cpus import usable_cpus
from service.tune.setups import candidates
from tests.support import PICTURES, ROOT, counted, encode, gradient, service_command

LEVEL = re.compile(r"^ +(\d+) +(\d+) +(\d+) +[\d,]+ +[\d.]+ +[\d.]+( .*)?$", re.MULTILINE)


def tune(artifacts: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "service", "tune", "--seconds", "0.1", *arguments],
        cwd=ROOT,
        env={**os.environ, "GLIMPSE_ARTIFACTS": str(artifacts), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def test_every_setup_is_tried_and_the_settings_are_added_to_the_file(artifacts: Path, tmp_path: Path) -> None:
    file = tmp_path / "glimpse.env"
    file.write_text("GLIMPSE_LOG_LEVEL=warning\n")
    done = tune(
        artifacts,
        "--p95-ms",
        "2000",
        "--to",
        str(file),
        GLIMPSE_DEFAULT_MODEL="cnn",
        GLIMPSE_LOG_LEVEL="error",
    )
    assert done.returncode == 0, done.stderr
    tried = {(int(workers), int(threads)) for workers, threads, *_ in LEVEL.findall(done.stdout)}
    assert tried == {(setup.workers, setup.threads) for setup in candidates(usable_cpus())}
    found = dotenv_values(file)
    assert list(found) == [
        "GLIMPSE_LOG_LEVEL", "GLIMPSE_WORKERS", "GLIMPSE_THREADS", "GLIMPSE_MAX_WAIT_MS", "GLIMPSE_MAX_BATCH",
    ]  # fmt: skip
    assert int(found["GLIMPSE_MAX_BATCH"] or 0) > 1


def test_service_takes_a_file_of_settings(artifacts: Path, tmp_path: Path) -> None:
    file = tmp_path / "glimpse.env"
    file.write_text("GLIMPSE_WORKERS=1\nGLIMPSE_MAX_BATCH=3\nGLIMPSE_PORT=1\n")
    command = [*service_command(), "--settings", str(file)]
    with (
        running_service(command, {"GLIMPSE_ARTIFACTS": str(artifacts)}) as service,
        httpx.Client(base_url=service.url) as client,
    ):
        assert counted(client, "glimpse_workers") == 1
        files = [("files", encode(gradient()))] * 4
        assert "GLIMPSE_MAX_BATCH" in client.post("/classify/batch", files=files).text


def test_service_refuses_a_file_that_is_not_there() -> None:
    done = subprocess.run(
        [*service_command(), "--settings", "nowhere.env"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        2, "settings 'nowhere.env' can't be read: No such file or directory\n",
    )  # fmt: skip


def test_target_out_of_reach_writes_nothing(artifacts: Path, tmp_path: Path) -> None:
    file = tmp_path / "glimpse.env"
    done = tune(artifacts, "--p95-ms", "0.01", "--to", str(file), "--pictures", str(PICTURES))
    assert done.returncode == 1
    assert re.fullmatch(r"tune: no setup keeps p95 at or below 0\.01 ms: .*\n", done.stderr)
    assert not file.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--p95-ms", "0"), "'0' is not allowed: give a number above 0"),
        (("--pictures", "nowhere"), "'nowhere': no such file or folder"),
        (("--to", "README.md"), "settings 'README.md', line "),
        (("--to", "nowhere/x.env"), "settings 'nowhere/x.env' can't be written: No such file or directory"),
    ],
)
def test_wrong_input_is_refused(artifacts: Path, arguments: tuple[str, ...], says: str) -> None:
    done = tune(artifacts, *arguments)
    assert done.returncode == 2
    assert says in done.stderr
