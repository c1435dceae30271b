"""The OpenAPI document against the real service: schemathesis with all its checks."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from loadtest.server import running_service
from tests.support import ROOT, counted, eventually, service_command

KEY = "only-for-tests"


@pytest.fixture(scope="module")
def guarded(artifacts: Path) -> Iterator[httpx.Client]:
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_API_KEYS": KEY, "GLIMPSE_WORKERS": "1"}
    with (
        running_service(service_command(), settings) as service,
        httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {KEY}"}) as http,
    ):
        yield http


def check(client: httpx.Client, *options: str) -> None:
    """Run schemathesis as schemathesis.toml sets it up; its report is the failure."""
    url = f"{client.base_url}/openapi.json"
    command = [sys.executable, "-m", "schemathesis.cli", "run", url, "--checks", "all", *options]
    before = counted(client, "glimpse_predictions_total")
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    # Refusals alone would say nothing of the answers.
    assert eventually(lambda: counted(client, "glimpse_predictions_total") > before + 100), done.stdout


def test_every_answer_is_as_documented(client: httpx.Client) -> None:
    check(client)


def test_every_answer_is_as_documented_where_keys_are_set(guarded: httpx.Client) -> None:
    check(guarded, "--header", f"Authorization: Bearer {KEY}")
