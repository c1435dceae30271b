"""What kustomize makes of deploy/kubernetes, without a cluster."""

import functools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.watching import DEPLOY

KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = ("staging", "production")
HAS_KUBECTL = shutil.which("kubectl") is not None

Manifest = dict[str, Any]


@functools.cache
def render(overlay: str) -> list[Manifest]:
    """Every object of an overlay."""
    return kustomize(KUBERNETES / "overlays" / overlay)


def kustomize(folder: Path) -> list[Manifest]:
    """Every object of a folder with a kustomization."""
    command = ["kubectl", "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def every(overlay: str, kind: str) -> list[Manifest]:
    """The overlay's objects of a kind."""
    return [one for one in render(overlay) if one["kind"] == kind]


def only(overlay: str, kind: str) -> Manifest:
    """The overlay's one object of a kind."""
    (found,) = every(overlay, kind)
    return found


def pod(overlay: str) -> Manifest:
    """The specification of a replica."""
    spec: Manifest = only(overlay, "Deployment")["spec"]["template"]["spec"]
    return spec


def container(overlay: str) -> Manifest:
    """Its one container."""
    (found,) = pod(overlay)["containers"]
    specification: Manifest = found
    return specification


def environment(overlay: str) -> dict[str, str]:
    """What the container gets from its ConfigMap."""
    (source,) = container(overlay)["envFrom"]
    config = only(overlay, "ConfigMap")
    assert source == {"configMapRef": {"name": config["metadata"]["name"]}}
    data: dict[str, str] = config["data"]
    return data


def quantity(text: str) -> int:
    """Bytes or whole CPUs of Kubernetes' way to write them."""
    for suffix, factor in (("Ki", 2**10), ("Mi", 2**20), ("Gi", 2**30)):
        if text.endswith(suffix):
            return int(text.removesuffix(suffix)) * factor
    return int(text)
