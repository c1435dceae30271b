"""The manifests are valid, locked, and agree with each other, with the image and with the service."""

import copy
import re
from pathlib import Path

import httpx
import kubernetes_validate
import pytest
import yaml

from service import settings as service_settings
from service.apart import ONE_PASS_BYTES
from service.app import VERSION
from service.cpus import usable_cpus
from service.settings import Settings, SettingsError, read_settings
from service.supervisor import _KILL_AFTER
from tests.deploy.manifests import (
    HAS_KUBECTL,
    OVERLAYS,
    Manifest,
    container,
    environment,
    every,
    only,
    pod,
    quantity,
    render,
)
from tests.deploy.proxy import directive
from tests.deploy.watching import RULES
from tests.support import ROOT

pytestmark = pytest.mark.skipif(not HAS_KUBECTL, reason="needs kubectl (Debian's kubernetes-client)")

OWN_KINDS = {
    "ServiceMonitor",
    "PrometheusRule",
}  # the Prometheus operator's, of which Kubernetes has no schema
SCALING = ROOT / "docs" / "scaling.md"
WORKER_BYTES = 130_000_000  # of one that does nothing, and its decoders
both = pytest.mark.parametrize("overlay", OVERLAYS)


@pytest.fixture
def settings(overlay: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """What the service reads in the overlay's container, on a node with CPUs to spare."""
    period = 100_000
    quota = int(container(overlay)["resources"]["limits"]["cpu"]) * period
    (tmp_path / "cpu.max").write_text(f"{quota} {period}")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(service_settings, "usable_cpus", lambda: usable_cpus(tmp_path))
    for name, value in environment(overlay).items():
        monkeypatch.setenv(name, value)
    return read_settings()


# 1.30 is the first that sleeps before it stops a container without being told to know how.
@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
@both
def test_objects_fit_the_schemas_of_kubernetes(overlay: str, version: str) -> None:
    for one in render(overlay):
        if one["kind"] not in OWN_KINDS:
            kubernetes_validate.validate(one, version, strict=True)


def test_a_slip_would_not_fit_them() -> None:
    wrong = copy.deepcopy(only("staging", "Deployment"))
    probes = wrong["spec"]["template"]["spec"]["containers"][0]
    probes["livenessprobe"] = probes.pop("livenessProbe")
    with pytest.raises(kubernetes_validate.ValidationError, match="livenessprobe"):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


@both
def test_replica_can_do_no_more_than_it_has_to(overlay: str) -> None:
    spec, one = pod(overlay), container(overlay)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    (volume,) = spec["volumes"]
    assert volume["emptyDir"].keys() == {"medium", "sizeLimit"}
    assert one["volumeMounts"] == [{"name": volume["name"], "mountPath": "/tmp"}]  # noqa: S108 - it is that one
    assert spec["automountServiceAccountToken"] is False
    assert only(overlay, "ServiceAccount")["metadata"]["name"] == spec["serviceAccountName"]


@both
def test_user_is_the_one_of_the_image(overlay: str) -> None:
    (ids,) = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    context = pod(overlay)["securityContext"]
    assert (str(context["runAsUser"]), str(context["runAsGroup"])) == ids


@both
def test_image_is_of_this_version_of_the_service(overlay: str) -> None:
    assert container(overlay)["image"].endswith(f":{VERSION}")


@both
def test_settings_are_ones_that_the_service_takes(overlay: str, settings: Settings) -> None:
    assert settings.host == "0.0.0.0"  # noqa: S104 - the pod's own
    own = [one["name"] for one in container(overlay).get("env", [])]
    assert {name.removeprefix("GLIMPSE_").lower() for name in own} <= Settings.model_fields.keys()
    if settings.default_model:
        assert (ROOT / "artifacts" / settings.default_model).is_dir()


@both
def test_kubernetes_adds_no_variables_of_our_prefix(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = only(overlay, "Service")["metadata"]["name"].upper()
    monkeypatch.setenv(f"{name}_SERVICE_HOST", "10.0.0.1")  # one of those that it would add
    with pytest.raises(SettingsError):
        read_settings()
    assert pod(overlay)["enableServiceLinks"] is False


@both
def test_it_has_the_time_to_stop(overlay: str, settings: Settings) -> None:
    pause = container(overlay)["lifecycle"]["preStop"]["sleep"]["seconds"]
    patience = pause + settings.drain_seconds + settings.grace_seconds + _KILL_AFTER
    assert pod(overlay)["terminationGracePeriodSeconds"] > patience


@both
def test_cpus_are_what_workers_and_their_threads_use(overlay: str, settings: Settings) -> None:
    resources = container(overlay)["resources"]
    assert resources["requests"] == resources["limits"]
    assert settings.workers * settings.threads == int(resources["limits"]["cpu"])


@both
def test_memory_is_enough_for_all_that_the_settings_allow(overlay: str, settings: Settings) -> None:
    worker = WORKER_BYTES + settings.decode_bytes + ONE_PASS_BYTES + settings.max_buffered_bytes
    files = quantity(pod(overlay)["volumes"][0]["emptyDir"]["sizeLimit"])
    limit = quantity(container(overlay)["resources"]["limits"]["memory"])
    assert limit > settings.workers * worker + files


@both
def test_port_is_the_one_that_the_service_listens_on(overlay: str, settings: Settings) -> None:
    (port,) = container(overlay)["ports"]
    assert port["containerPort"] == settings.port
    assert [one["targetPort"] for one in only(overlay, "Service")["spec"]["ports"]] == [port["name"]]
    for policy in every(overlay, "NetworkPolicy"):
        assert [one["ports"] for one in policy["spec"]["ingress"]] == [[{"port": port["name"]}]]


@both
@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_probe_asks_a_path_that_answers(overlay: str, probe: str, client: httpx.Client) -> None:
    asked = container(overlay)[probe]["httpGet"]
    assert asked["port"] == container(overlay)["ports"][0]["name"]
    assert client.get(asked["path"]).status_code == 200


@both
def test_selectors_find_the_replicas(overlay: str) -> None:
    deployment = only(overlay, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        only(overlay, "Service")["spec"]["selector"],
        only(overlay, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        *(one["labelSelector"]["matchLabels"] for one in pod(overlay)["topologySpreadConstraints"]),
        *(one["spec"]["podSelector"]["matchLabels"] for one in every(overlay, "NetworkPolicy")),
    ]
    assert selectors == [labels] * len(selectors)


@both
def test_objects_are_in_the_namespace_that_comes_with_them(overlay: str) -> None:
    name = only(overlay, "Namespace")["metadata"]["name"]
    others = [one for one in render(overlay) if one["kind"] != "Namespace"]
    assert {one["metadata"]["namespace"] for one in others} == {name}


@both
def test_either_a_number_or_the_autoscaler_says_how_many(overlay: str) -> None:
    deployment, scalers = only(overlay, "Deployment"), every(overlay, "HorizontalPodAutoscaler")
    assert ("replicas" in deployment["spec"]) == (not scalers)
    for scaler in scalers:
        assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
        assert scaler["spec"]["minReplicas"] > 1


@both
def test_a_replica_may_be_moved_and_none_is_missed_in_an_upgrade(overlay: str) -> None:
    assert only(overlay, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert only(overlay, "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_nothing_leaves_the_service() -> None:
    policies = every("production", "NetworkPolicy")
    assert [one["metadata"]["name"] for one in policies if "Egress" in one["spec"]["policyTypes"]] == [
        "glimpse"
    ]
    assert all("egress" not in one["spec"] for one in policies)


def test_series_get_the_job_that_rules_and_dashboard_select() -> None:
    monitor, service = only("production", "ServiceMonitor")["spec"], only("production", "Service")
    assert monitor.keys() == {"jobLabel", "selector", "endpoints"}
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    job = service["metadata"]["labels"][monitor["jobLabel"]]
    assert set(re.findall(r'job="([^"]+)"', RULES.read_text(encoding="utf-8"))) == {job}


def test_monitor_asks_where_the_metrics_are(client: httpx.Client) -> None:
    (endpoint,) = only("production", "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint.keys() == {"port", "path", "interval", "authorization"}
    assert endpoint["port"] in {one["name"] for one in only("production", "Service")["spec"]["ports"]}
    assert "glimpse_build_info" in client.get(endpoint["path"]).text


def test_alerts_are_those_of_the_rules() -> None:
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    assert only("production", "PrometheusRule")["spec"] == rules, "write them anew: make rules"


def test_keys_come_from_a_secret_that_nobody_has_committed() -> None:
    (variable,) = container("production")["env"]
    assert variable["name"] == "GLIMPSE_API_KEYS"
    (endpoint,) = only("production", "ServiceMonitor")["spec"]["endpoints"]
    assert every("production", "Secret") == []
    (making,) = re.findall(r"^kubectl create secret generic .*$", SCALING.read_text("utf-8"), re.MULTILINE)
    for reference in (variable["valueFrom"]["secretKeyRef"], endpoint["authorization"]["credentials"]):
        assert f" {reference['name']} " in making
        assert f" --from-literal={reference['key']}=" in making


def test_ingress_leads_to_every_path_but_that_of_the_metrics(client: httpx.Client) -> None:
    (rule,) = only("production", "Ingress")["spec"]["rules"]
    paths = rule["http"]["paths"]
    document = client.get("/openapi.json").json()["paths"]
    there = {*document, "/openapi.json", "/docs", "/page/app.js"}
    assert {path for path in there if leads(paths, path)} == there - {"/metrics"}
    port = {"name": only("production", "Service")["spec"]["ports"][0]["name"]}
    assert all(one["backend"]["service"] == {"name": "glimpse", "port": port} for one in paths)


def test_ingress_passes_on_as_nginx_does() -> None:
    for name, value in only("production", "Ingress")["metadata"]["annotations"].items():
        option = name.partition("/")[2].replace("-", "_")
        if option.startswith("proxy_"):
            there = {"proxy_body_size": "client_max_body_size"}.get(option, option)
            assert directive(there).removesuffix("s") == value, name


def test_certificate_comes_from_a_secret_that_the_page_makes() -> None:
    ingress = only("production", "Ingress")
    (tls,) = ingress["spec"]["tls"]
    (making,) = re.findall(r"^kubectl create secret tls .*$", SCALING.read_text("utf-8"), re.MULTILINE)
    assert f" {tls['secretName']} --namespace {ingress['metadata']['namespace']} " in making


def leads(rules: list[Manifest], path: str) -> bool:
    """Whether one of an ingress's rules takes the path; prefixes end where a part of the path does."""
    return any(
        path == rule["path"] or (rule["pathType"] == "Prefix" and path.startswith(f"{rule['path']}/"))
        for rule in rules
    )
