from pathlib import Path

from service.memory import ContainerMemory


def gauges(cgroup: Path) -> dict[str, float]:
    return {family.name: family.samples[0].value for family in ContainerMemory(cgroup).collect()}


def write(folder: Path, **files: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"memory.{name}").write_text(content)


def test_memory_of_a_container_leaves_out_files_that_can_be_dropped(tmp_path: Path) -> None:
    write(tmp_path, max="1000\n", current="700\n", stat="anon 500\ninactive_file 150\nactive_file 50\n")
    assert gauges(tmp_path) == {"glimpse_memory_bytes": 550, "glimpse_memory_limit_bytes": 1000}


def test_older_cgroups_are_read_too(tmp_path: Path) -> None:
    stat = "inactive_file 1\ntotal_inactive_file 150\n"
    write(tmp_path / "memory", limit_in_bytes="1000\n", usage_in_bytes="700\n", stat=stat)
    assert gauges(tmp_path) == {"glimpse_memory_bytes": 550, "glimpse_memory_limit_bytes": 1000}


def test_without_a_limit_nothing_is_said(tmp_path: Path) -> None:
    assert gauges(tmp_path) == {}
    write(tmp_path, max="max\n", current="700\n", stat="inactive_file 150\n")
    write(tmp_path / "memory", limit_in_bytes=f"{2**63 - 4096}\n", usage_in_bytes="7\n", stat="x 1\n")
    assert gauges(tmp_path) == {}
