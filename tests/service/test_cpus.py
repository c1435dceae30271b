import os
from pathlib import Path

import pytest

from service.cpus import cpu_has, usable_cpus

AVAILABLE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("100000 100000", 1), ("50000 100000", 1), ("max 100000", AVAILABLE), ("100000000 100000", AVAILABLE)],
)
def test_quota_of_a_container_bounds_the_cpus(quota: str, expected: int, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert usable_cpus(tmp_path) == expected


def test_older_cgroups_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cpus(tmp_path) == 1


def test_without_a_quota_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path) == AVAILABLE


@pytest.mark.parametrize(("extension", "has"), [("amx_int8", True), ("amx", False), ("avx512f", False)])
def test_extensions_are_whole_words_of_the_flags(extension: str, has: bool, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("model name\t: avx512f\nflags\t\t: fpu amx_int8 amx_bf16\n")
    assert cpu_has(extension, tmp_path / "cpuinfo") == has


def test_no_extension_is_known_without_cpuinfo(tmp_path: Path) -> None:
    assert not cpu_has("fpu", tmp_path / "cpuinfo")
