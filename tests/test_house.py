"""The rules of the house: which way imports run, and what stays out of the repository."""

import ast
import platform
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from service.app import VERSION
from service.cpus import cpu_has
from service.session import AMX
from tests.support import ROOT

PACKAGES = ("train", "export", "service", "loadtest", "chaos", "bench", "ops")
ALLOWED = {
    "train": {"train", "service.imaging"},
    "export": {"train", "service", "export"},
    "service": {"service"},
    "loadtest": {"loadtest"},
    "chaos": {"loadtest", "chaos"},
    "bench": {"service.bench", "service.tune.calls", "loadtest", "chaos.lab", "chaos.processes", "bench"},
    "ops": {"ops"},
}
HEAVY = {"torch", "torchvision", "onnx", "onnxscript", "safetensors"}


def imports_of(file: Path) -> set[str]:
    """Every module that the file names in an import, wherever it stands."""
    return imports_in(file.read_text(encoding="utf-8"))


def imports_in(code: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def is_allowed(module: str, allowed: set[str]) -> bool:
    return module.split(".", maxsplit=1)[0] not in PACKAGES or any(
        module == one or module.startswith(f"{one}.") for one in allowed
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package: str) -> None:
    allowed = ALLOWED[package]
    parents = {one.rpartition(".")[0] for one in allowed}  # `from service import imaging` names service too
    wrong = {
        (file.name, module)
        for file in (ROOT / package).rglob("*.py")
        for module in imports_of(file)
        if module not in parents and not is_allowed(module, allowed)
    }
    assert not wrong


@pytest.mark.parametrize("package", ["service", "loadtest", "chaos", "bench", "ops"])
def test_light_packages_name_no_heavy_library(package: str) -> None:
    named = {module.split(".")[0] for file in (ROOT / package).rglob("*.py") for module in imports_of(file)}
    assert not named & HEAVY


def test_importing_the_service_leaves_torch_out() -> None:
    code = f"import sys, service.app, service.command; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_supervising_the_service_leaves_onnx_runtime_to_its_workers() -> None:
    code = "import sys, service.supervisor, service.command; print('onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(match.groups() for line in lines if (match := re.match(r"([\w.-]+)==([^\s;\\]+)", line)))


def test_each_layer_of_requirements_holds_the_one_below_at_the_same_versions() -> None:
    layers = ("", "-train", "-dev", "-openvino")
    runtime, train, dev, openvino = (pins(f"requirements{layer}.txt") for layer in layers)
    assert runtime.items() < train.items() < dev.items()
    assert runtime.items() < openvino.items()


def test_runtime_requirements_are_light() -> None:
    assert not pins("requirements.txt").keys() & HEAVY
    assert not [name for name in pins("requirements.txt") if name.startswith("nvidia")]


def dry_run(target: str, folder: Path, *variables: str) -> str:
    """What make would do for a file of an environment."""
    words = ["/usr/bin/env", "make", "--dry-run", f"{folder}/{target}", f"SERVICE={folder}", f"DEV={folder}"]
    return subprocess.run([*words, *variables], cwd=ROOT, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(("openvino", "ending"), [("no", ""), ("0", ""), ("yes", "-openvino")])
@pytest.mark.parametrize("target", [".installed", ".train"])
def test_make_installs_the_plugin_where_it_is_wanted(
    target: str, openvino: str, ending: str, tmp_path: Path
) -> None:
    done = dry_run(f"{target}{ending}", tmp_path, f"OPENVINO={openvino}")
    assert f"venv --clear {tmp_path}\n" in done
    assert ("-r requirements-openvino.txt" in done) == bool(ending)


def test_make_wants_the_plugin_where_the_cpu_has_amx(tmp_path: Path) -> None:
    is_wanted = cpu_has(AMX) and platform.machine() == "x86_64"
    target = ".installed-openvino" if is_wanted else ".installed"
    assert f"-r requirements{'-openvino' if is_wanted else ''}.txt" in dry_run(target, tmp_path)


def test_service_states_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION
