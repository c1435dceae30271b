import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "service.bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def rows(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float | str]]:
    """What twenty calls of both variants gave, at two batch sizes."""
    file = tmp_path_factory.mktemp("bench") / "new" / "bench.json"
    wanted = ("--model", "cnn", "--calls", "20", "--batch", "1", "--batch", "8", "--json", str(file))
    done = bench("--artifacts", str(artifacts), *wanted)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, float | str]] = json.loads(file.read_bytes())["rows"]
    assert len(done.stdout.splitlines()) == 1 + len(found)
    return found


def test_every_variant_is_measured_at_every_batch_size(rows: list[dict[str, float | str]]) -> None:
    assert {(row["variant"], row["batch"]) for row in rows} == {
        ("fp32", 1), ("fp32", 8), ("int8", 1), ("int8", 8),
    }  # fmt: skip


def test_percentiles_are_in_order(rows: list[dict[str, float | str]]) -> None:
    for row in rows:
        assert 0 < float(row["p50"]) <= float(row["p95"]) <= float(row["p99"]) <= float(row["max"])


def test_eight_pictures_take_longer_than_one(rows: list[dict[str, float | str]]) -> None:
    p50 = {(row["variant"], row["batch"]): float(row["p50"]) for row in rows}
    assert p50["fp32", 8] > 2 * p50["fp32", 1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--calls", "0"), "'0' is not allowed: give a whole number from 1 on"),
        (("--model", "none"), "holds no bundle of 'none'"),
        (("--model", "/etc"), "bench: bundle '/etc/"),
        (("--artifacts", "nowhere"), "'nowhere' holds no bundle: export one"),
        (("--json", "tests"), "--json 'tests' can't be written: Is a directory"),
        (("--json", "README.md/bench.json"), "--json 'README.md/bench.json' can't be written: "),
    ],
)
def test_wrong_input_is_refused(arguments: tuple[str, str], says: str) -> None:
    done = bench(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1 or "usage:" in done.stderr
