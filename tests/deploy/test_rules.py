"""Rules, dashboard and runbook are sound and fit together, without a service."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import PREFIX, Settings
from tests.deploy.runbook import rows, sections, text
from tests.deploy.watching import DEPLOY, RULES, dashboard
from tests.support import ROOT

UNIT_TESTS = Path(__file__).parent / "rules_test.yaml"


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


@pytest.mark.parametrize(
    "command",
    [
        ["promtool", "check", "config", "--lint-fatal", str(DEPLOY / "prometheus" / "prometheus.yaml")],
        ["promtool", "check", "rules", "--lint-fatal", str(RULES)],
        ["promtool", "test", "rules", str(UNIT_TESTS)],
        ["amtool", "check-config", str(DEPLOY / "alertmanager" / "alertmanager.yaml")],
    ],
    ids=lambda command: " ".join(command[:3]),
)
def test_their_own_tools_accept_them(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]} (of Debian's prometheus and prometheus-alertmanager)")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_unit_test_that_fires_it_and_one_that_does_not() -> None:
    fires, stays_quiet = set(), set()
    for scenario in yaml.safe_load(UNIT_TESTS.read_text(encoding="utf-8"))["tests"]:
        for case in scenario["alert_rule_test"]:
            # With several instances or models in one scenario, those that are not listed must stay quiet.
            (fires if case["exp_alerts"] else stays_quiet).add(case["alertname"])
            if case["exp_alerts"] and len(scenario["input_series"]) > 1:
                stays_quiet.add(case["alertname"])
    assert fires == ALERTS.keys()
    assert stays_quiet == ALERTS.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_alert_says_what_is_wrong_how_bad_it_is_and_where_help_stands(name: str) -> None:
    alert = ALERTS[name]
    assert re.fullmatch(r"\d+m", alert["for"])
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert re.search(r"\d|\{\{", alert["annotations"]["description"])
    assert alert["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"


@pytest.mark.parametrize("name", ALERTS)
def test_runbook_says_of_the_alert_what_it_means_where_to_look_and_what_to_do(name: str) -> None:
    section = sections()[name]
    for part in ("Means:", "Look:", "Do:"):
        assert section.count(f"\n- {part} ") == 1, part
    assert re.search(r"panels? \*\*", section)


def test_runbook_has_no_section_for_an_alert_that_is_gone() -> None:
    assert {name for name in sections() if name.startswith("Glimpse")} == ALERTS.keys()


def test_runbook_names_only_panels_and_settings_that_exist() -> None:
    bold = {" ".join(name.split()) for name in re.findall(r"\*\*([^*]+)\*\*", text())}
    assert bold <= {panel["title"] for panel in dashboard()["panels"]}
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(rf"{PREFIX}\w+", text())) <= settings


def test_log_lines_of_the_runbook_are_those_of_the_service() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "service").rglob("*.py"))
    lines = [row[0].strip("`") for row in rows(3) if row[1] in {"error", "warning", "info"}]
    assert lines
    assert [line for line in lines if f'"{line}"' not in source] == []


def test_dashboard_has_each_panel_once_at_a_place_of_its_own() -> None:
    panels = dashboard()["panels"]
    for each in ("id", "title"):
        assert [one for one, count in Counter(panel[each] for panel in panels).items() if count > 1] == []
    taken = Counter(
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert max(taken.values()) == 1
    assert max(x for x, _ in taken) <= 23


def test_dashboard_asks_the_provisioned_prometheus_by_its_variable() -> None:
    (source,) = yaml.safe_load((DEPLOY / "grafana" / "datasources" / "prometheus.yaml").read_text())[
        "datasources"
    ]
    variables = {one["name"]: one for one in dashboard()["templating"]["list"]}
    assert variables.keys() == {"datasource", "job", "instance", "model"}
    assert variables["datasource"]["current"]["value"] == source["uid"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            assert target["datasource"] == {"type": source["type"], "uid": "${datasource}"}
        assert panel["type"] == "row" or panel["description"]
