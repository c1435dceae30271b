"""The rules of the house: which way imports run, and what stays out of the repository."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest

from service.app import VERSION
from service.settings import Settings
from tests.support import PICTURES, ROOT

PACKAGES = ("train", "export", "service", "loadtest")
ALLOWED = {
    "train": {"train", "service.imaging"},
    "export": {"train", "service", "export"},
    "service": {"service"},
    "loadtest": {"loadtest"},
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


@pytest.mark.parametrize("package", ["service", "loadtest"])
def test_light_packages_name_no_heavy_library(package: str) -> None:
    named = {module.split(".")[0] for file in (ROOT / package).rglob("*.py") for module in imports_of(file)}
    assert not named & HEAVY


def test_importing_the_service_leaves_torch_out() -> None:
    code = f"import sys, service.app, service.__main__; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(match.groups() for line in lines if (match := re.match(r"([\w.-]+)==([^\s;\\]+)", line)))


def test_each_layer_of_requirements_holds_the_one_below_at_the_same_versions() -> None:
    runtime, train, dev = (pins(f"requirements{layer}.txt") for layer in ("", "-train", "-dev"))
    assert runtime.items() < train.items() < dev.items()


def test_runtime_requirements_are_light() -> None:
    assert not pins("requirements.txt").keys() & HEAVY
    assert not [name for name in pins("requirements.txt") if name.startswith("nvidia")]


def test_readme_lists_every_setting() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `GLIMPSE_(\w+)` \|", readme, re.MULTILINE))
    assert listed == {name.upper() for name in Settings.model_fields}


def test_readme_names_only_make_targets_that_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(
        re.findall(r"^([\w.$()/-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert set(re.findall(r"\bmake ([a-z]+)\b(?=`|\n)", readme)) <= targets


def test_service_states_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION


def test_readmes_python_classifies_without_glimpse() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    snippet = readme.partition("```python\n")[2].partition("```")[0]
    assert not {"service", "train", "export"} & {name.split(".")[0] for name in imports_in(snippet)}
    code = [sys.executable, "-c", snippet]
    done = subprocess.run(code, cwd=ROOT, check=True, capture_output=True, text=True)
    assert max(ast.literal_eval(done.stdout).items(), key=lambda item: item[1])[0] == "cat"


def test_readme_shows_the_answer_that_the_service_gives(client: httpx.Client) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = json.loads(readme.partition("```json\n")[2].partition("```")[0])
    given = client.post("/classify", files={"file": ("cat.png", (PICTURES / "cat.png").read_bytes())}).json()
    for prediction in (shown["prediction"], *shown["top_3_predictions"]):
        prediction["confidence"] = pytest.approx(prediction["confidence"], abs=1e-3)
    assert shown == given
