"""A service for load tests on machines that have other work to do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.server import running_service
from tests.support import service_command


@pytest.fixture(scope="session")
def patient(artifacts: Path) -> Iterator[str]:
    """The URL of the real service that would rather be late than refuse, so that no run fails by chance."""
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_MAX_WAIT_MS": "5000"}
    with running_service(service_command(), settings) as service:
        yield service.url
