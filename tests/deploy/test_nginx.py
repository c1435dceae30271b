"""nginx as it is configured: what it passes on, what it keeps back, and in which words."""

import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from service.settings import Settings
from tests.deploy.proxy import CONFIGURATION, NGINX, Proxy, directive, running_nginx
from tests.support import PICTURES, eventually

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian's nginx-light)")

CAT = (PICTURES / "cat.png").read_bytes()
LIMIT = Settings().max_body_bytes


@pytest.fixture(scope="module")
def proxy(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with running_nginx(tmp_path_factory.mktemp("nginx"), [server]) as running:
        yield running


@pytest.fixture(scope="module")
def proxied(proxy: Proxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, timeout=60) as http:
        yield http


def seconds(name: str) -> float:
    return float(directive(name).removesuffix("s"))


def test_its_limits_are_the_services() -> None:
    settings = Settings()
    assert int(directive("client_max_body_size")) == settings.max_body_bytes
    assert seconds("client_header_timeout") == settings.header_seconds
    assert seconds("client_body_timeout") == settings.stall_seconds
    assert seconds("proxy_read_timeout") > settings.batch_seconds
    assert seconds("keepalive_timeout") < settings.keep_alive_seconds


def test_picture_is_classified_as_without_it(proxied: httpx.Client, client: httpx.Client) -> None:
    assert proxied.post("/classify", content=CAT).json() == client.post("/classify", content=CAT).json()


@pytest.mark.parametrize("kind", ["told", "streamed"])
def test_body_over_the_limit_gets_the_services_own_refusal(
    kind: str, proxied: httpx.Client, client: httpx.Client
) -> None:
    body = b"\0" * (LIMIT + 1)
    content = body if kind == "told" else iter([body[: LIMIT // 2], body[LIMIT // 2 :]])
    refused = proxied.post("/classify", content=content, headers={"X-Request-ID": "too-large"})
    own = client.post("/classify", content=body, headers={"X-Request-ID": "too-large"})
    assert (refused.status_code, refused.json()) == (own.status_code, own.json())
    for name in ("content-type", "x-request-id", "cache-control", "connection"):
        assert refused.headers[name] == own.headers[name]


def test_body_of_the_limit_passes(proxied: httpx.Client) -> None:
    answer = proxied.post("/classify", content=b"\0" * LIMIT)
    assert answer.json()["error"]["code"] == "unsupported_format"


@pytest.mark.parametrize("path", ["/metrics", "//metrics", "/health/../metrics", "/%6Detrics", "/metrics/"])
def test_metrics_are_not_for_the_public(path: str, proxy: Proxy) -> None:
    address = urlsplit(proxy.url)
    with socket.create_connection((address.hostname, address.port), 10) as raw, raw.makefile("rb") as answer:
        # As it stands; a client would tidy it.
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    assert json.loads(body)["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"X-Request-ID": "from.the:client_1"}, r"from\.the:client_1"),
        ({"X-Request-ID": "two words"}, r"[0-9a-f]{32}"),
        ({"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}, "(ab){16}"),
        ({"traceparent": f"00-{'0' * 32}-{'cd' * 8}-01"}, r"(?!0{32})[0-9a-f]{32}"),
        ({}, r"[0-9a-f]{32}"),
    ],
)
def test_request_has_one_id_on_its_whole_way(
    sent: dict[str, str], expected: str, proxy: Proxy, proxied: httpx.Client
) -> None:
    answer = proxied.post("/classify", content=b"no picture", headers=sent)
    given = answer.headers.get_list("x-request-id")
    assert given == [answer.json()["error"]["request_id"]]
    assert re.fullmatch(expected, given[0])
    assert eventually(lambda: f'"request_id": "{given[0]}"' in proxy.log.read_text().splitlines()[-1])


def test_no_replica_is_a_json_error_that_says_when_to_ask_again(tmp_path: Path) -> None:
    with running_nginx(tmp_path, ["http://127.0.0.1:1"]) as proxy:
        answer = httpx.post(f"{proxy.url}/classify", content=CAT)
    assert answer.status_code == 502
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["error"]["code"] == "unavailable"


def test_client_that_sends_more_than_its_share_is_told_so(server: str, tmp_path: Path) -> None:
    with running_nginx(tmp_path, [server], {"rate=100r/s": "rate=1r/m", "burst=200": "burst=2"}) as proxy:
        answers = [httpx.get(f"{proxy.url}/health/live") for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["retry-after"] == "1"
    assert answers[-1].json()["error"]["code"] == "too_many_requests"


def test_body_that_stalls_reaches_no_replica(server: str, tmp_path: Path, client: httpx.Client) -> None:
    def seen() -> int:
        return client.get("/metrics").text.count('route="/classify/details"')

    with running_nginx(tmp_path, [server], {"client_body_timeout 5s": "client_body_timeout 300ms"}) as proxy:
        address = urlsplit(proxy.url)
        before = seen()
        with socket.create_connection((address.hostname, address.port), 10) as raw:
            raw.sendall(
                b"POST /classify/details HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf of it"
            )
            assert raw.recv(1) == b""
    assert seen() == before


def test_tls_is_a_matter_of_the_lines_that_stand_there(server: str, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    certificate, key = tmp_path / "glimpse.pem", tmp_path / "glimpse.key"
    request = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=x -addext subjectAltName=IP:127.0.0.1"
    made = [openssl, *request.split(), "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(made, check=True, capture_output=True)
    changes = {line: line.removeprefix("# ") for line in tls_lines()}
    changes |= {"    listen 80 default_server;": "", "/etc/nginx/glimpse": str(tmp_path / "glimpse")}
    with running_nginx(tmp_path, [server], changes) as proxy:
        url = proxy.url.replace("http:", "https:")
        answer = httpx.get(f"{url}/health/live", verify=ssl.create_default_context(cafile=certificate))
    assert answer.json() == {"status": "ok"}


def tls_lines() -> list[str]:
    """The lines of TLS, which are comments."""
    return re.findall(r"^    (# (?:listen|ssl_).*)$", CONFIGURATION.read_text(encoding="utf-8"), re.MULTILINE)
