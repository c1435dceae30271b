"""compose.yaml is valid, closed to the outside, and names only what exists."""

import re
import subprocess
import sys
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from service.settings import PREFIX, read_settings
from service.supervisor import _KILL_AFTER
from tests.deploy.watching import DEPLOY
from tests.support import ROOT

COMPOSE = ROOT / "compose.yaml"
WHOLE: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = WHOLE["services"]


def mounts(name: str) -> dict[str, tuple[str, str]]:
    """What is mounted where in the container: path -> source, mode."""
    split = (volume.split(":") for volume in SERVICES[name]["volumes"])
    return {target: (source, mode[0] if mode else "rw") for source, target, *mode in split}


def seconds(duration: str) -> int:
    match = re.fullmatch(r"(\d+)s", duration)
    assert match
    return int(match[1])


def test_it_is_a_compose_file() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(COMPOSE),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_container_can_do_no_more_than_it_has_to(name: str) -> None:
    one = SERVICES[name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert one["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert all(port.startswith("127.0.0.1:") for port in one["ports"])
    assert not one.keys() & {"privileged", "network_mode", "pid", "user"}


@pytest.mark.parametrize("name", SERVICES)
def test_image_has_a_version_and_what_is_mounted_is_there(name: str) -> None:
    assert "build" in SERVICES[name] or re.search(r":v?\d+\.\d+\.\d+$", SERVICES[name]["image"])
    for source, mode in mounts(name).values():
        if source.startswith("."):
            assert (ROOT / source).is_dir()
            assert mode == "ro"
        else:
            assert source in WHOLE["volumes"]


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_configuration_is_where_the_command_looks(name: str) -> None:
    (path,) = (
        PurePosixPath(option.removeprefix("--config.file="))
        for option in SERVICES[name]["command"]
        if option.startswith("--config.file=")
    )
    source, _ = mounts(name)[str(path.parent)]
    assert (ROOT / source / path.name).is_file()


def test_grafana_finds_its_dashboard() -> None:
    source, _ = mounts("grafana")["/etc/grafana/provisioning"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    provider = yaml.safe_load((DEPLOY / "grafana" / "dashboards" / "glimpse.yaml").read_text())["providers"][
        0
    ]
    assert PurePosixPath(home).parent == PurePosixPath(provider["options"]["path"])
    assert (ROOT / source / PurePosixPath(home).relative_to("/etc/grafana/provisioning")).is_file()


def test_settings_are_ones_that_the_service_takes_and_it_has_the_time_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    glimpse = SERVICES["glimpse"]
    for name, value in glimpse["environment"].items():
        assert name.startswith(PREFIX)
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert settings.host == "0.0.0.0"  # noqa: S104 - the container's own
    assert [port.split(":")[-1] for port in glimpse["ports"]] == [str(settings.port)]
    assert str(settings.artifacts) in mounts("glimpse")
    patience = settings.drain_seconds + settings.grace_seconds + _KILL_AFTER
    assert seconds(glimpse["stop_grace_period"]) > patience


def test_a_file_may_have_every_other_setting() -> None:
    glimpse = SERVICES["glimpse"]
    assert glimpse["env_file"] == [{"path": "glimpse.env", "required": False}]
    # What stands here wins over the file, even where it is empty because the shell has nothing.
    assert [name for name, value in glimpse["environment"].items() if not value or "$" in value] == []


def test_image_is_built_with_arguments_that_it_takes() -> None:
    taken = re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert SERVICES["glimpse"]["build"]["args"].keys() <= set(taken)


def test_each_asks_the_others_where_they_are() -> None:
    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    asked = [*prometheus["scrape_configs"], *prometheus["alerting"]["alertmanagers"]]
    addresses = [
        address for one in asked for static in one["static_configs"] for address in static["targets"]
    ]
    source = yaml.safe_load((DEPLOY / "grafana" / "datasources" / "prometheus.yaml").read_text())[
        "datasources"
    ][0]
    addresses.append(source["url"].removeprefix("http://"))
    served = {f"{name}:{port.split(':')[-1]}" for name, one in SERVICES.items() for port in one["ports"]}
    assert set(addresses) == served - {"grafana:3000"}
