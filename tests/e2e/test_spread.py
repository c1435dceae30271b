"""Who answers connections that stay: a real service of two workers."""

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx

from loadtest.server import running_service
from tests.support import counted, eventually, service_command

CONNECTIONS = 12


def test_connections_that_stay_are_spread_over_the_workers(artifacts: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "2", "GLIMPSE_LOG_FORMAT": "json"}
    with running_service(service_command(), settings, log) as service, ExitStack() as open_ones:
        with httpx.Client(base_url=service.url) as client:
            assert eventually(lambda: counted(client, "glimpse_workers") == 2, 30)
        for _ in range(CONNECTIONS):
            client = open_ones.enter_context(httpx.Client(base_url=service.url))
            assert client.get("/models").status_code == 200
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    answers = Counter(line["worker"] for line in lines if line["message"] == "GET /models")
    assert sum(answers.values()) == CONNECTIONS
    assert max(answers.values()) <= CONNECTIONS // 2 + 1
