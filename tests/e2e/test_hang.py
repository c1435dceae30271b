"""Workers that are there and do nothing: real processes, stopped."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from chaos.processes import children
from loadtest.server import Service, running_service
from tests.support import PICTURES, counted, eventually, service_command

CAT = (PICTURES / "cat.png").read_bytes()


@contextmanager
def quick_to_notice(artifacts: Path, log: Path, count: int) -> Iterator[tuple[Service, httpx.Client]]:
    """A service that gives a silent worker no more than 4 s, and a caller with a connection of its own."""
    settings = {
        "GLIMPSE_ARTIFACTS": str(artifacts),
        "GLIMPSE_WORKERS": str(count),
        "GLIMPSE_HANG_SECONDS": "4",
    }
    with (
        running_service(service_command(), settings, log) as service,
        httpx.Client(base_url=service.url, timeout=30) as http,
    ):
        assert eventually(lambda: counted(http, "glimpse_workers") == count, 30)
        yield service, http


def test_worker_that_hangs_is_replaced_and_who_waits_for_it_hears_of_it(
    artifacts: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with quick_to_notice(artifacts, log, 1) as (service, http):
        (hung,) = children(service.process.pid)
        os.kill(hung, signal.SIGSTOP)
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            http.get("/health")
        assert http.post("/classify", content=CAT).status_code == 200
        assert counted(http, "glimpse_worker_restarts_total") == 1
        assert children(service.process.pid) != [hung]
    assert log.read_text().count("worker 0 does not answer any more: killed") == 1


def test_no_worker_counts_as_hung_where_everything_was_stopped_together(
    artifacts: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with quick_to_notice(artifacts, log, 2) as (service, http):
        before = children(service.process.pid)
        for pid in (service.process.pid, *before):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(6)
        service.process.send_signal(signal.SIGCONT)
        time.sleep(0.5)  # enough to look at them before they say a word
        for pid in before:
            os.kill(pid, signal.SIGCONT)
        assert http.post("/classify", content=CAT).status_code == 200
        assert children(service.process.pid) == before
    assert "killed" not in log.read_text()
