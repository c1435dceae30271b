import os
import resource
from pathlib import Path

import pytest
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
