"""The real Prometheus and Alertmanager on the committed files, set fast; and traffic for them to watch."""

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from loadtest.server import free_port
from tests.support import PICTURES, ROOT, encode, eventually, gradient

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yaml"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "glimpse.json"
NEEDED = ("prometheus", "prometheus-alertmanager")
MISSING = [command for command in NEEDED if shutil.which(command) is None]

FASTER = 30
RATE_INTERVAL = "10s"  # what Grafana would make of $__rate_interval at the hastened interval, and some more
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_START_SECONDS = 60


def hasten(text: str) -> str:
    """Configuration or rules with each interval, pause and window a thirtieth as long, all else as it is."""

    def shortened(match: re.Match[str]) -> str:
        before, number, unit = match.groups()
        return f"{before}{1000 * int(number) * _SECONDS[unit] // FASTER}ms"

    return re.sub(r"(\[|\b(?:for|\w*interval): )(\d+)([smhd])\b", shortened, text)


class Prometheus:
    """Its HTTP API."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def _get(self, path: str, **arguments: str) -> dict[str, Any]:
        answer = self._http.get(f"/api/v1{path}", params=arguments).json()
        assert answer["status"] == "success", f"{arguments}: {answer['error']}"
        data: dict[str, Any] = answer["data"]
        return data

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query that have a value; NaN is none."""
        result = self._get("/query", query=expression)["result"]
        return [one for one in result if one["value"][1] != "NaN"]

    def rules(self) -> list[dict[str, Any]]:
        """Every rule as it was loaded, with how its last evaluation went."""
        return [rule for group in self._get("/rules")["groups"] for rule in group["rules"]]

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        alerts = self._get("/alerts")["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    def up(self) -> list[str]:
        """Whether each of the service's targets answers: "1" or "0"."""
        return [one["value"][1] for one in self.query('up{job="glimpse"}')]


def alertmanager_knows(url: str, name: str) -> bool:
    """Whether an alert has come there."""
    alerts = httpx.get(f"{url}/api/v2/alerts", timeout=30).json()
    return name in {alert["labels"]["alertname"] for alert in alerts}


@contextmanager
def running_alertmanager(folder: Path) -> Iterator[str]:
    """The URL of Alertmanager on the committed configuration."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "prometheus-alertmanager",
        f"--config.file={DEPLOY / 'alertmanager' / 'alertmanager.yaml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    with _running(command, f"{url}/-/ready"):
        yield url


@contextmanager
def running_prometheus(folder: Path, service: str, alertmanager: str) -> Iterator[Prometheus]:
    """Prometheus on the committed files, but for the addresses, at thirty times their pace."""
    config = (DEPLOY / "prometheus" / "prometheus.yaml").read_text(encoding="utf-8")
    for committed, here in (("glimpse:8000", service), ("alertmanager:9093", alertmanager)):
        assert config.count(committed) == 1
        config = config.replace(committed, here.removeprefix("http://"))
    (folder / "prometheus.yaml").write_text(hasten(config), encoding="utf-8")
    (folder / RULES.name).write_text(hasten(RULES.read_text(encoding="utf-8")), encoding="utf-8")
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--log.level=warn",
    ]
    with _running(command, f"{url}/-/ready"), httpx.Client(base_url=url, timeout=30) as http:
        yield Prometheus(http)


@contextmanager
def _running(command: list[str], ready: str) -> Iterator[None]:
    def answers() -> bool:
        assert process.poll() is None, f"{command[0]} ended with status {process.returncode}"
        try:
            return httpx.get(ready, timeout=5).is_success
        except httpx.TransportError:
            return False

    with subprocess.Popen(command) as process:
        try:
            assert eventually(answers, _START_SECONDS), f"{command[0]} is not ready"
            yield
        finally:
            process.terminate()


@contextmanager
def traffic(url: str, callers: int, pause: float) -> Iterator[None]:
    """Callers that each send pictures of all kinds to all routes and models, until the end of the context."""
    stop = threading.Event()
    threads = [threading.Thread(target=_send, args=(url, pause, stop)) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _send(url: str, pause: float, stop: threading.Event) -> None:
    large = encode(gradient(640, 480), "JPEG")
    pictures = [path.read_bytes() for path in sorted(PICTURES.glob("*.png"))]
    with httpx.Client(base_url=url, timeout=60) as http:
        while not stop.is_set():
            for picture in pictures:
                http.post("/classify?model=resnet", content=large)
                http.post("/classify/image?model=cnn", content=picture)
                if stop.is_set():
                    break
                time.sleep(pause)
            http.post("/classify/batch", files=[("files", ("one.png", one)) for one in pictures])


def dashboard() -> dict[str, Any]:
    """The committed dashboard."""
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return loaded


def dashboard_queries() -> dict[str, str]:
    """What each panel and annotation asks, its variables at their defaults, by "title (letter)"."""
    found = {
        f"{panel['title']} ({target['refId']})": target["expr"]
        for panel in dashboard()["panels"]
        for target in panel.get("targets", [])
    }
    for annotation in dashboard()["annotations"]["list"]:
        if "expr" in annotation:
            found[f"{annotation['name']} (annotation)"] = annotation["expr"]
    values = {"$job": "glimpse", "$instance": ".*", "$model": ".*", "$__rate_interval": RATE_INTERVAL}
    for name, value in values.items():
        found = {title: expression.replace(name, value) for title, expression in found.items()}
    return found


def unconditional(expression: str) -> str:
    """An alert's expression with 0 or 1 for what it compares, instead of nothing where all is well."""
    return re.sub(r" (==|!=|<=|>=|<|>) ", r" \1 bool ", expression)
