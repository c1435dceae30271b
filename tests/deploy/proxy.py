"""The real nginx on the committed configuration, in front of given replicas."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx

from loadtest.server import free_port
from tests.deploy.watching import DEPLOY
from tests.support import eventually

CONFIGURATION = DEPLOY / "nginx" / "glimpse.conf"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

_START_SECONDS = 30
_MAIN = """daemon off;
worker_processes 2;
pid {folder}/pid;
error_log {folder}/error.log;
{user}
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/glimpse.conf;
}}
"""


@dataclass(frozen=True)
class Proxy:
    """An nginx that answers at `url`, and where it writes a line a request."""

    url: str
    log: Path


def directive(name: str) -> str:
    """The arguments of a directive that stands in the configuration once."""
    text = re.sub(r"#.*", "", CONFIGURATION.read_text(encoding="utf-8"))
    (arguments,) = re.findall(rf"^\s*{name} (.*?);", text, re.MULTILINE)
    found: str = arguments
    return found


@contextmanager
def running_nginx(
    folder: Path, replicas: Sequence[str], changes: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Proxy]:
    """Start it on a free port, with the replicas' URLs and the changes put into its configuration."""
    port, log = free_port(), folder / "log"
    text = CONFIGURATION.read_text(encoding="utf-8")
    for old, new in {**changes, "/var/log/nginx/glimpse.log": str(log)}.items():
        assert old in text, f"{old} is not in the configuration"
        text = text.replace(old, new)
    text = re.sub(r"(?m)^    listen \d+", f"    listen 127.0.0.1:{port}", text)
    servers = "".join(f"    server {url.removeprefix('http://')} max_fails=0;\n" for url in replicas)
    text = re.sub(r"(?m)(^    server [\d.:]+ max_fails=0;\n)+", servers, text, count=1)
    (folder / "glimpse.conf").write_text(text, encoding="utf-8")
    # Its workers have to reach a folder that is only ours.
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder, user=user), encoding="utf-8")
    assert NGINX is not None
    with subprocess.Popen(
        [NGINX, "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            assert eventually(lambda: _answers(process, url), _START_SECONDS), "nginx does not answer"
            yield Proxy(url, log)
        finally:
            process.terminate()


def _answers(process: "subprocess.Popen[bytes]", url: str) -> bool:
    assert process.poll() is None, f"nginx ended with status {process.returncode}"
    try:
        # Whatever it says: with TLS, that this is none.
        httpx.get(f"{url}/metrics", timeout=5)
    except httpx.TransportError:
        return False
    return True
