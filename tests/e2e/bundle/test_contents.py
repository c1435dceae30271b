"""What is in a bundle, and how it is shown."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from export.engines import EXACT
from service.bundle import read_bundle
from service.cpus import cpu_has
from service.imaging import decode
from service.openvino import PACKAGE
from tests.e2e.bundle.commands import command, export
from tests.support import ROOT, Shapes


def test_card_has_its_figures_and_pictures(bundle: Path) -> None:
    card = (bundle / "card" / "README.md").read_text()
    linked = re.findall(r"!\[[^]]*\]\(([^)]+)\)", card)
    assert linked == ["reliability.png", "confusion.png", "mistakes.png"]
    for name in linked:
        with Image.open(bundle / "card" / name) as picture:
            picture.load()
    variants = json.loads((bundle / "manifest.json").read_text())["variants"]
    for variant in ("fp32", "int8"):
        assert f"{variants[variant]['accuracy']:.2%}" in card
        share = re.search(rf"([\d.]+)% \({variant}\).* of the held-out pictures reach", card)
        assert share
        assert float(share[1]) >= 95
    engines = variants["int8"]["engines"]
    assert engines.get("amx") == (variants["int8"]["accuracy"] if any(map(cpu_has, EXACT)) else None)
    for engine, accuracy in engines.items():
        assert f"| int8 by {engine} | {accuracy:.2%} (" in card
    for class_name in Shapes.CLASS_NAMES:
        assert f"| `{class_name}` |" in card


def test_versions_are_those_of_all_that_computed_it(bundle: Path) -> None:
    manifest = read_bundle(bundle).manifest
    expected = {"python", "torch", "onnx", "onnxruntime", "pillow"}
    plugins = {PACKAGE} if "openvino" in manifest.variants["int8"].engines else set()
    assert set(manifest.provenance.versions) == expected | plugins


def test_bundle_names_neither_paths_nor_times(bundle: Path, shapes: Path, work: Path) -> None:
    text = (bundle / "manifest.json").read_text()
    assert str(work) not in text
    assert str(shapes.parent) not in text
    assert '"dataset": "shapes"' in text


def test_allowance_for_few_pictures_is_written_down(bundle: Path, work: Path) -> None:
    gates = json.loads((bundle / "manifest.json").read_text())["gates"]
    limits = {gate["gate"]: gate["limit"] for gate in gates if gate["variant"] == "int8"}
    assert limits["expected calibration error"] == "at most 0.015 + 0.3163 for 24 pictures"
    assert limits["agreement with fp32"] == "at least 0.985 - 0.0267 for 24 pictures"
    helped = " ".join(command(work, "export", "--help").stdout.split())
    assert "Few pictures may miss a default by chance alone: there it is loosened" in helped


def test_unfamiliar_pictures_are_counted(trained: Path, work: Path, tmp_path: Path) -> None:
    for index in range(8):
        noise = np.random.default_rng(index).integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{index}.png")
    export(work, str(trained), "--to", "noise/shapes/1", "--unfamiliar", str(tmp_path))
    bundle = work / "noise" / "shapes" / "1"
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["unfamiliar"] == tmp_path.name
    side = manifest["input"]["height"]
    images = np.stack([decode(path.read_bytes(), side, side) for path in sorted(tmp_path.iterdir())])
    for variant in manifest["variants"].values():
        session = onnxruntime.InferenceSession(bundle / variant["file"])
        largest = session.run(["probabilities"], {"images": images})[0].max(axis=1)
        caught = float((largest < variant["low_confidence_threshold"]).mean())
        assert variant["unfamiliar_caught"] == caught


def test_bundle_is_called_by_what_its_target_comes_to(trained: Path, work: Path) -> None:
    target = "dotted/x/../shapes/3"
    export(work, str(trained), "--to", target, "--float-only")
    assert read_bundle(work / "dotted" / "shapes" / "3").manifest.name == "shapes"


def test_show_prints_a_bundle_as_a_table(bundle: Path, work: Path) -> None:
    shown = export(work, "show", str(bundle)).stdout
    assert re.search(r"^test accuracy +\d+\.\d+% +\d+\.\d+%$", shown, re.MULTILINE)
    for engine in read_bundle(bundle).manifest.variants["int8"].engines:
        assert re.search(rf"^test accuracy by {engine} +- +\d+\.\d+%$", shown, re.MULTILINE)
    assert "shapes/1" in shown


def test_show_prints_every_gate_with_figure_and_limit(bundle: Path, work: Path) -> None:
    shown = export(work, "show", str(bundle)).stdout
    limit = r"0\.\d+, at most 0\.015 \+ 0\.3163 for 24 pictures"
    assert re.search(rf"^gate: expected calibration error +{limit} +{limit}$", shown, re.MULTILINE)
    assert re.search(r"^gate: agreement with fp32 +- +\S+, at least 0\.985 ", shown, re.MULTILINE)


def test_show_ends_quietly_when_nobody_reads(bundle: Path, work: Path) -> None:
    script = f'set -o pipefail; {sys.executable} -m export show "$1" | true'
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", str(bundle)],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
