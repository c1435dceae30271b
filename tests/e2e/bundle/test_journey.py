"""From pictures to an answer of the real service by documented commands, and the same bundle each time."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from loadtest.server import running_service
from tests.e2e.bundle.commands import command
from tests.support import ROOT, Shapes, encode, newest, service_command
from train.checkpoint import FILE_NAME


def test_odd_folder_becomes_a_service_that_knows_its_classes(work: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my pictures"
    called = Shapes(seed=1).write_odd(folder)
    done = command(work, "train", "cnn", "--recipe", "quick", "--data", str(folder), "--to", "runs/odd")
    assert done.stdout.count("2 unreadable files are left out") == 2  # before, and after all epochs
    assert "Thumbs.db" in done.stdout
    command(work, "export", "runs/odd")

    unseen = Shapes(seed=2)
    settings = {"GLIMPSE_ARTIFACTS": str(work / "artifacts"), "GLIMPSE_DEFAULT_MODEL": "odd"}
    with (
        running_service(service_command(), settings) as service,
        httpx.Client(base_url=service.url) as client,
    ):
        assert client.get("/classes").json()["classes"] == sorted(called.values())
        sent = Shapes.CLASS_NAMES * 10
        answers = [client.post("/classify", content=encode(unseen.draw(name))).json() for name in sent]
    right = [
        answer["prediction"]["class"] == called[name] for answer, name in zip(answers, sent, strict=True)
    ]
    assert sum(right) >= 0.9 * len(right)


def test_exporting_again_takes_the_next_version_and_gives_the_same_graph(
    bundle: Path, trained: Path, work: Path
) -> None:
    command(work, "export", str(trained))
    second = bundle.with_name("2")
    for name in ("model.onnx", "model.int8.onnx", "golden.npz", FILE_NAME):
        assert (second / name).read_bytes() == (bundle / name).read_bytes()
    manifests = [(folder / "manifest.json").read_text() for folder in (bundle, second)]
    assert manifests[1] == manifests[0].replace('"version": "1"', '"version": "2"')
    shutil.rmtree(second)


def test_bundles_own_weights_give_the_bundle_again_on_any_number_of_cores(
    bundle: Path, shapes: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    command(work, "export", str(bundle), "--data", str(shapes), "--to", "rebuilt/shapes/1")
    rebuilt = work / "rebuilt" / "shapes" / "1"
    for name in ("model.onnx", "model.int8.onnx", "golden.npz", "manifest.json"):
        assert (rebuilt / name).read_bytes() == (bundle / name).read_bytes()


def test_trained_network_is_not_overwritten(trained: Path, shapes: Path, work: Path) -> None:
    before = (trained / FILE_NAME).read_bytes()
    done = command(work, "train", "cnn", "--data", str(shapes), "--to", str(trained), check=False)
    assert done.returncode == 2
    assert "holds a trained network: name another folder with --to" in done.stderr
    assert (trained / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize(
    ("kilobytes", "says"),
    [
        (
            28,
            r"bundle '.*/full/shapes/1' can't be written \(File too large\): free space .*--to",
        ),
        (20, r"the temporary folder '.+' can't take [\d,]+ bytes \(File too large\): free space .* TMPDIR"),
    ],
)
def test_full_disk_leaves_no_half_bundle(kilobytes: int, says: str, trained: Path, work: Path) -> None:
    """A limit on the size of a file stands in for a full disk: only a picture, or a graph too, is over it."""
    script = f'ulimit -f {kilobytes}; exec {sys.executable} -m export "$@"'
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", str(trained), "--to", "full/shapes/1"],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert re.fullmatch(f"export: {says}\n", done.stderr)
    assert not (work / "full").exists()


def test_make_export_holds_our_networks_to_their_limits_on_cifar10(trained: Path, tmp_path: Path) -> None:
    """A stand-in for Python prints what it is started with."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "bin" / "python").chmod(0o755)
    (tmp_path / ".train").touch()
    own = shutil.copytree(trained, tmp_path / "runs" / "resnet")
    resnet, cnn = (str(newest(ROOT / "artifacts" / model).relative_to(ROOT)) for model in ("resnet", "cnn"))
    variables = [f"RUNS={resnet} {cnn} {own}", "LIMITS=--other-data", "LIMITS_cnn=--max-ece 0.02"]
    done = subprocess.run(
        ["/usr/bin/env", "make", "--silent", "export", f"DEV={tmp_path}", *variables],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        f"-m export {resnet} --max-ece 0.01 --other-data",
        f"-m export {cnn} --max-ece 0.02 --other-data",
        f"-m export {own} --other-data",
    ]
