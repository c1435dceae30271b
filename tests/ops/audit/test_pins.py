"""Which requirements count as pinned."""

from pathlib import Path

import pytest

from ops.audit.pins import AuditError, read_pins
from tests.support import ROOT


def test_pins_of_the_runtime_are_read_with_canonical_names() -> None:
    pins = read_pins(ROOT / "requirements.txt")
    assert {"numpy", "onnxruntime", "typing-extensions"} <= pins.keys()
    assert pins["numpy"][0].isdecimal()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("numpy>=2\n", "'numpy>=2' is no NAME==VERSION"),
        ("# nothing\n", "there is no requirement in it"),
    ],
)
def test_what_is_not_pinned_is_refused(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(text)
    with pytest.raises(AuditError, match=says):
        read_pins(file)


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"none\.txt: No such file or directory"):
        read_pins(tmp_path / "none.txt")
