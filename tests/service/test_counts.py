import os
import resource
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

from service.counts import _AllocatedFile, _FileValue


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


def test_file_that_can_not_grow_keeps_what_it_has_and_grows_later(tmp_path: Path) -> None:
    file = _AllocatedFile(str(tmp_path / "counter_1.db"))
    file.write_value("old", 1.0, 0.0)  # type: ignore[no-untyped-call]
    long = "new" * 10_000
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        with Path(os.devnull).open() as newest:  # a mapping takes a descriptor, which would be the next one
            resource.setrlimit(resource.RLIMIT_NOFILE, (newest.fileno(), before[1]))
            with pytest.raises(OSError, match="Too many open files"):
                file.write_value(long, 2.0, 0.0)  # type: ignore[no-untyped-call]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    file.write_value("old", 3.0, 0.0)  # type: ignore[no-untyped-call]
    file.write_value(long, 4.0, 0.0)  # type: ignore[no-untyped-call]
    values = [file.read_value(key)[0] for key in ("old", long)]  # type: ignore[no-untyped-call]
    assert values == [3.0, 4.0]
    file.close()  # type: ignore[no-untyped-call]


def test_value_counts_in_its_file_wherever_that_is_mapped(tmp_path: Path) -> None:
    path = tmp_path / "counter_1.db"
    file = _AllocatedFile(str(path))
    counted, put = _FileValue(file, "counted"), _FileValue(file, "put")
    counted.inc(2.5)
    put.set(7.0)
    for index in range(1000):
        _FileValue(file, f"{index}")
    counted.inc(-1)
    put.set(1e9 + 0.1)
    assert (counted.get(), put.get()) == (1.5, 1e9 + 0.1)
    read = MmapedDict.read_all_values_from_file(str(path))  # type: ignore[no-untyped-call]
    assert {key.strip(): value for key, value, *_ in read if value} == {"counted": 1.5, "put": 1e9 + 0.1}
    file.close()  # type: ignore[no-untyped-call]


def test_value_goes_on_from_what_its_file_has(tmp_path: Path) -> None:
    path = str(tmp_path / "counter_1.db")
    file = _AllocatedFile(path)
    _FileValue(file, "counted").inc(3)
    file.close()  # type: ignore[no-untyped-call]
    again = _AllocatedFile(path)
    assert _FileValue(again, "counted").get() == 3
    again.close()  # type: ignore[no-untyped-call]
