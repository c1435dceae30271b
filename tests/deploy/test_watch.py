"""The real Prometheus watches the real service through quiet, overload and its end.

Everything happens once, in `watched`; the tests look at what was seen.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from loadtest.server import Service, running_service
from service.memory import ContainerMemory
from tests.deploy.runbook import documented_log_fields, documented_metrics, named_metrics
from tests.deploy.watching import (
    MISSING,
    RULES,
    Prometheus,
    alertmanager_knows,
    dashboard_queries,
    running_alertmanager,
    running_prometheus,
    traffic,
    unconditional,
)
from tests.support import eventually, service_command

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)} (Debian's packages)")

PATIENCE = 90  # seconds for what takes some 10 on a machine with nothing else to do
# What has nothing to show while all is well, and why.
NEEDS_OVERLOAD = {"Refused by route (A)", "Alerts (A)", "GlimpseRefusing"}
NEEDS_A_FAILURE = {"Errors by route (A)", "GlimpseErrors"}
NEEDS_A_LIMIT = {"Memory (A)", "Memory (B)", "GlimpseMemoryHigh"}  # of a container
NEEDS_A_RESTART = {"Starts (annotation)"}
NEEDS_NO_TARGET = {"GlimpseGone"}
MAY_BE_SILENT = NEEDS_OVERLOAD | NEEDS_A_FAILURE | NEEDS_A_LIMIT | NEEDS_A_RESTART | NEEDS_NO_TARGET


@dataclass
class Watched:
    """What was seen."""

    metrics: str = ""
    log_fields: set[str] = field(default_factory=set)
    rules: list[dict[str, Any]] = field(default_factory=list)
    up: list[str] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)  # queries without an answer while all is well
    silent_in_overload: set[str] = field(default_factory=set)
    firing_in_quiet: set[str] = field(default_factory=set)
    firing_in_overload: set[str] = field(default_factory=set)
    alertmanager_knew: bool = False
    refusing_resolved: bool = False
    firing_at_the_end: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def watched(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    folder = tmp_path_factory.mktemp("watch")
    settings = {
        "GLIMPSE_ARTIFACTS": str(artifacts),
        "GLIMPSE_WORKERS": "1",
        "GLIMPSE_MAX_WAIT_MS": "20",
        "GLIMPSE_DRAIN_SECONDS": "0",
    }
    seen = Watched()
    with (
        running_service(service_command(), settings, folder / "log") as service,
        running_alertmanager(folder) as alertmanager,
        running_prometheus(folder, service.url, alertmanager) as prometheus,
    ):
        _watch_quiet(seen, service, prometheus)
        _watch_overload(seen, service, prometheus, alertmanager)
        service.process.terminate()
        seen.firing_at_the_end = _once_fired(prometheus, "GlimpseDown")
    lines = (folder / "log").read_text(encoding="utf-8").splitlines()
    seen.log_fields = {name for line in lines for name in json.loads(line)}
    return seen


def _watch_quiet(seen: Watched, service: Service, prometheus: Prometheus) -> None:
    with traffic(service.url, callers=1, pause=0.02):
        eventually(lambda: prometheus.rules() != [], PATIENCE)
        alerts = {rule["name"]: unconditional(rule["query"]) for rule in prometheus.rules()}
        queries = dashboard_queries() | alerts
        eventually(lambda: _silent(prometheus, queries) <= MAY_BE_SILENT, PATIENCE)
        eventually(lambda: not prometheus.firing(), PATIENCE)
        seen.firing_in_quiet = prometheus.firing()
        seen.silent = _silent(prometheus, queries)
        seen.up = prometheus.up()
    eventually(lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), PATIENCE)
    seen.rules = prometheus.rules()
    seen.metrics = httpx.get(f"{service.url}/metrics", timeout=30).text


def _watch_overload(seen: Watched, service: Service, prometheus: Prometheus, alertmanager: str) -> None:
    queries = {title: query for title, query in dashboard_queries().items() if title in NEEDS_OVERLOAD}
    with traffic(service.url, callers=24, pause=0):
        seen.firing_in_overload = _once_fired(prometheus, "GlimpseRefusing")
        seen.silent_in_overload = _silent(prometheus, queries)
        seen.alertmanager_knew = eventually(
            lambda: alertmanager_knows(alertmanager, "GlimpseRefusing"), PATIENCE
        )
    seen.refusing_resolved = eventually(lambda: "GlimpseRefusing" not in prometheus.firing(), PATIENCE)


def _once_fired(prometheus: Prometheus, alert: str) -> set[str]:
    eventually(lambda: alert in prometheus.firing(), PATIENCE)
    return prometheus.firing()


def _silent(prometheus: Prometheus, queries: dict[str, str]) -> set[str]:
    return {title for title, query in queries.items() if not prometheus.query(query)}


def test_prometheus_loads_every_rule_and_each_works(watched: Watched) -> None:
    committed = re.findall(r"- (?:alert|record): (\S+)", RULES.read_text(encoding="utf-8"))
    assert sorted(rule["name"] for rule in watched.rules) == sorted(committed)
    assert {rule["name"]: rule.get("lastError") for rule in watched.rules if rule["health"] != "ok"} == {}


def test_the_service_is_up(watched: Watched) -> None:
    assert watched.up == ["1"]


def test_every_query_of_the_dashboard_and_the_rules_finds_something(watched: Watched) -> None:
    assert watched.silent <= MAY_BE_SILENT


def test_in_quiet_nothing_fires(watched: Watched) -> None:
    assert watched.firing_in_quiet == set()


def test_overload_fires_and_the_dashboard_shows_it(watched: Watched) -> None:
    assert "GlimpseRefusing" in watched.firing_in_overload
    assert "GlimpseErrors" not in watched.firing_in_overload
    assert watched.silent_in_overload == set()


def test_alertmanager_hears_of_it(watched: Watched) -> None:
    assert watched.alertmanager_knew


def test_when_overload_is_over_the_alert_ends(watched: Watched) -> None:
    assert watched.refusing_resolved


def test_a_service_that_has_stopped_is_down(watched: Watched) -> None:
    assert "GlimpseDown" in watched.firing_at_the_end


def families(text: str, tmp_path: Path) -> dict[str, Metric]:
    """What /metrics shows, and what it would show in a container with a limit."""
    for name, content in (("max", "2\n"), ("current", "1\n"), ("stat", "inactive_file 0\n")):
        (tmp_path / f"memory.{name}").write_text(content)
    limited = CollectorRegistry()
    limited.register(ContainerMemory(tmp_path))
    whole = text + ("" if "glimpse_memory_bytes" in text else generate_latest(limited).decode())
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: family
        for family in text_string_to_metric_families(whole)
    }


def test_the_runbook_lists_every_metric_as_it_is(watched: Watched, tmp_path: Path) -> None:
    live = {
        name: (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
            family.documentation,
        )
        for name, family in families(watched.metrics, tmp_path).items()
    }
    assert documented_metrics() == live


def test_rules_dashboard_and_runbook_name_only_metrics_that_exist(watched: Watched, tmp_path: Path) -> None:
    exposed = families(watched.metrics, tmp_path)
    exist = exposed.keys() | {sample.name for family in exposed.values() for sample in family.samples}
    recorded = {rule["name"] for rule in watched.rules}
    assert named_metrics() - recorded - exist == set()


def test_the_runbook_lists_the_fields_of_the_log(watched: Watched) -> None:
    needs_more = {"trace_id", "exception"}  # a caller's traceparent, and a failure
    assert watched.log_fields | needs_more == documented_log_fields()
