"""The command, on the real pins; of vulnerabilities it asks a made service."""

import json
from pathlib import Path

import pytest

from loadtest.server import free_port
from ops.audit.__main__ import SKIPPED, main
from ops.audit.pins import read_pins
from ops.audit.vulnerabilities import find_vulnerabilities
from tests.ops.audit.osv import Known, running_osv, vulnerable
from tests.support import ROOT

PLUGIN = "onnxruntime-ep-openvino"  # in none of the files that have all others


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def audit(python: str, folder: Path, url: str) -> int:
    asked = ("--pip-audit=--vulnerability-service=osv", f"--pip-audit=--osv-url={url}")
    return main(["--python", python, "--bill", str(folder / "made" / "sbom.json"), *asked])


@pytest.mark.parametrize(
    ("known", "status", "says"),
    [
        ({}, 0, "PASSED\n"),
        ({"pillow": vulnerable("pillow")}, 1, "FAILED: pillow "),
        ({PLUGIN: vulnerable(PLUGIN)}, 1, f"FAILED: {PLUGIN} "),
    ],
)
def test_verdict_follows_what_is_known(
    known: Known, status: int, says: str, shipped: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_osv(known) as url:
        assert audit(shipped, tmp_path, url) == status
    said = capsys.readouterr().out
    assert says in said
    assert f"vulnerabilities: {len(known)} known of " in said
    assert len(json.loads((tmp_path / "made" / "sbom.json").read_text())["components"]) > 20


def test_without_the_service_nothing_is_claimed(
    shipped: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(shipped, tmp_path, f"http://127.0.0.1:{free_port()}") == SKIPPED
    said = capsys.readouterr().out
    assert "NOT KNOWN, since the service that knows of them could not be asked: " in said
    assert "PASSED but for vulnerabilities" in said


def test_vulnerability_is_told_with_its_mend_and_can_be_accepted() -> None:
    pins = read_pins(ROOT / "requirements.txt")
    with running_osv({"pillow": vulnerable("pillow")}) as url:
        options = ("--vulnerability-service=osv", f"--osv-url={url}")
        (one,) = find_vulnerabilities(pins, more=options).found
        accepted = find_vulnerabilities(pins, [one.name], options).found
    assert one.describe().endswith(f"has {one.name}, fixed in 99.0.0")
    assert accepted == []


def test_python_without_the_packages_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--python", "/no/python", "--bill", str(tmp_path / "bill.json")]) == 2
    assert capsys.readouterr().err.startswith("ops.audit: no bill of materials could be made of /no/python: ")
