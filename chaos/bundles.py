"""Bundles are spoilt before the start: the others serve; with none left it ends with a sentence."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from chaos.crowd import crowd, not_answered
from chaos.experiment import Experiment, Outcome, Skipped
from chaos.lab import Lab, eventually

_ARTIFACTS = "GLIMPSE_ARTIFACTS"


def _flip_a_byte(bundle: Path) -> None:
    for graph in bundle.glob("*.onnx"):
        content = bytearray(graph.read_bytes())
        content[len(content) // 2] ^= 0xFF
        graph.write_bytes(content)


def _cut_in_half(bundle: Path) -> None:
    for graph in bundle.glob("*.onnx"):
        graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])


def _scramble_the_manifest(bundle: Path) -> None:
    (bundle / "manifest.json").write_bytes(os.urandom(1000))


def _remove_the_graphs(bundle: Path) -> None:
    for graph in bundle.glob("*.onnx"):
        graph.unlink()


def _empty_the_golden_pictures(bundle: Path) -> None:
    (bundle / "golden.npz").write_bytes(b"")


_WAYS: tuple[Callable[[Path], None], ...] = (
    _flip_a_byte,
    _scramble_the_manifest,
    _cut_in_half,
    _remove_the_graphs,
    _empty_the_golden_pictures,
)


def _run(lab: Lab, extent: int) -> Outcome:
    breaches = []
    for number, spoil in enumerate(_WAYS[:extent], start=1):
        name = spoil.__name__.strip("_").replace("_", " ")
        with tempfile.TemporaryDirectory() as folder:
            artifacts = Path(folder) / "artifacts"
            models = _copy_newest(artifacts)
            spoil(artifacts / models[0])
            breaches += [f"{name}: {one}" for one in _check_others_serve(lab, artifacts, *models)]
        lab.say(f"{number} of {extent} ways: {name}")
    with tempfile.TemporaryDirectory() as folder:
        artifacts = Path(folder) / "artifacts"
        for model in _copy_newest(artifacts):
            _flip_a_byte(artifacts / model)
        status, said, complaints = _start_with_none(lab, artifacts)
    figures = {"starts": str(extent + 1), "status with none left": str(status), "said": repr(said)}
    return Outcome(figures, breaches + complaints)


def _copy_newest(artifacts: Path) -> list[str]:
    """Copy the newest bundle of each model; they are named model/version.

    Raises:
        Skipped: there are none to spoil one of.
    """
    source = Path(os.environ.get(_ARTIFACTS) or "artifacts")
    newest = {folder.parent.name: folder.name for folder in sorted(source.glob("[!.]*/[!.]*"), key=_age)}
    if len(newest) < 2:
        raise Skipped(f"needs two models, one to spoil and one that goes on; {source} has {len(newest)}")
    names = [f"{model}/{version}" for model, version in sorted(newest.items())]
    for name in names:
        shutil.copytree(
            source / name, artifacts / name, ignore=shutil.ignore_patterns("card", "*.safetensors")
        )
    return names


def _age(folder: Path) -> int:
    return int(folder.name) if folder.name.isdecimal() else -1


def _check_others_serve(lab: Lab, artifacts: Path, spoilt: str, *others: str) -> list[str]:
    """What is wrong, a sentence each."""
    asked_for = {"GLIMPSE_DEFAULT_MODEL": others[0].partition("/")[0]}
    with lab.service({_ARTIFACTS: str(artifacts), "GLIMPSE_WORKERS": "1", **asked_for}) as subject:
        with crowd(lambda: subject.address, 1) as asked:
            eventually(lambda: len(asked) >= 10, 10)
        health = json.loads(subject.address.get("/health").text)
        failed = [f"{one['name']}/{one['version']}" for one in health["failed"]]
        breaches = not_answered(asked) + subject.faults()
        if health["status"] != "degraded" or failed != [spoilt]:
            breaches.append(f"/health says {health['status']} and names {failed}, not degraded and {spoilt}")
        if spoilt.partition("/")[0] not in subject.log():
            breaches.append("the log does not name it")
    return breaches


def _start_with_none(lab: Lab, artifacts: Path) -> tuple[int, str, list[str]]:
    """The exit status, what was said besides the log, and what is wrong with both."""
    done = lab.run_to_its_end({_ARTIFACTS: str(artifacts)})
    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    breaches = []
    if done.returncode != 1:
        breaches.append(f"with no bundle left it ended with status {done.returncode}, not 1")
    if len(said) != 1 or not said[0].startswith("service: no model can be served: "):
        breaches.append(f"with no bundle left it did not say one sentence, but {said}")
    return done.returncode, said[0].replace(str(artifacts), "artifacts") if said else "", breaches


EXPERIMENT = Experiment(
    name="bundles",
    does="one of the models' bundles is spoilt before the start, in {extent} ways; then all of them",
    criterion="the others serve, /health and the log name it; with none left, exit status 1 and one sentence",
    short=2,
    long=len(_WAYS),
    run=_run,
)
