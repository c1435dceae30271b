from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

from service.counts import _AllocatedFile


def test_file_has_no_holes_that_a_full_disk_could_not_fill(tmp_path: Path) -> None:
    path = tmp_path / "counter_1.db"
    file = _AllocatedFile(str(path))
    keys = [f"{index} {'x' * (index % 50)}" for index in range(1000)]
    for value, key in enumerate(keys):
        file.write_value(key, float(value), 0.0)  # type: ignore[no-untyped-call]
        assert path.stat().st_blocks * 512 >= path.stat().st_size
    assert path.stat().st_size > 16_384
    read = MmapedDict.read_all_values_from_file(str(path))  # type: ignore[no-untyped-call]
    assert [(key.strip(), value) for key, value, *_ in read] == [
        (key.strip(), float(value)) for value, key in enumerate(keys)
    ]
    file.close()  # type: ignore[no-untyped-call]
