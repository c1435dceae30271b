"""Keys, origins and headers, against the real service."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from loadtest.server import running_service
from tests.support import PICTURES, eventually, service_command

CAT = (PICTURES / "cat.png").read_bytes()
KEYS = ("first-secret", "second-secret")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("doors") / "service.log"


@pytest.fixture(scope="module")
def guarded(artifacts: Path, log: Path) -> Iterator[httpx.Client]:
    settings = {
        "GLIMPSE_ARTIFACTS": str(artifacts),
        "GLIMPSE_API_KEYS": ",".join(KEYS),
        "GLIMPSE_CORS_ORIGINS": "https://shop.example",
        "GLIMPSE_DOCS": "false",
        "GLIMPSE_WORKERS": "1",
    }
    with (
        running_service(service_command(), settings, log) as service,
        httpx.Client(base_url=service.url, timeout=30) as http,
    ):
        yield http


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("form", [("Authorization", "Bearer {}"), ("X-API-Key", "{}")])
def test_each_key_opens(key: str, form: tuple[str, str], guarded: httpx.Client) -> None:
    headers = {form[0]: form[1].format(key)}
    assert guarded.post("/classify", content=CAT, headers=headers).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}, {"Authorization": "Basic first-secret"}])
@pytest.mark.parametrize("path", ["/classify", "/models", "/metrics", "/model/info", "/model/examples"])
def test_without_a_key_nothing_opens(path: str, headers: dict[str, str], guarded: httpx.Client) -> None:
    response = guarded.post(path, content=CAT, headers=headers)
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "unauthorized"
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/health", "/health/live", "/health/ready"])
def test_page_and_probes_need_no_key(path: str, guarded: httpx.Client) -> None:
    assert guarded.get(path).status_code == 200


def test_keys_are_never_logged(guarded: httpx.Client, log: Path) -> None:
    guarded.post("/classify", content=CAT, headers={"X-API-Key": KEYS[0], "X-Request-ID": "look-here"})
    guarded.post("/classify?key=second-secret", content=CAT)
    assert eventually(lambda: "look-here" in log.read_text())
    assert not [key for key in KEYS if key in log.read_text()]


def test_docs_can_be_switched_off(guarded: httpx.Client) -> None:
    key = {"X-API-Key": KEYS[0]}
    assert [guarded.get(path, headers=key).status_code for path in ("/docs", "/openapi.json")] == [404, 404]


def test_only_listed_origins_may_call(guarded: httpx.Client) -> None:
    def allowed(origin: str) -> str | None:
        return guarded.get("/health", headers={"Origin": origin}).headers.get("access-control-allow-origin")

    assert allowed("https://shop.example") == "https://shop.example"
    assert allowed("https://evil.example") is None


def test_origins_are_closed_by_default(client: httpx.Client) -> None:
    response = client.get("/health", headers={"Origin": "https://shop.example"})
    assert "access-control-allow-origin" not in response.headers


def test_answers_have_safe_headers_and_no_banner(client: httpx.Client) -> None:
    headers = client.get("/health").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "server" not in headers


def test_log_lines_are_json_with_the_ids_that_came(guarded: httpx.Client, log: Path) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "X-API-Key": KEYS[0]}
    assert guarded.post("/classify", content=CAT, headers=headers).headers["x-request-id"] == trace
    assert eventually(lambda: trace in log.read_text())
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    (line,) = [line for line in lines if line.get("trace_id") == trace]
    assert (line["status"], line["worker"], line["level"]) == (200, 0, "info")
    assert line["infer_ms"] > 0
