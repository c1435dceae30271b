"""The client's own parts: what it finds, how it writes names, and what it needs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from service.client.errors import UsageError
from service.client.output import JsonLines, Table
from service.client.pictures import SUFFIXES, find_pictures
from service.client.text import columns, padded, shown
from service.imaging import ACCEPTED_FORMATS
from tests.support import ROOT

ANSWER = {
    "prediction": {"class": "cat", "class_index": 3, "confidence": 0.5},
    "prediction_set": ["cat", "dog"],
    "low_confidence": True,
}


def test_suffixes_are_those_of_the_accepted_formats() -> None:
    Image.init()
    known = {suffix for suffix, kind in Image.EXTENSION.items() if kind in ACCEPTED_FORMATS}
    assert known == SUFFIXES


def test_client_needs_the_standard_library_only() -> None:
    code = "import sys, service.client.__main__; print({name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name for name in eval(done.stdout) if not name.startswith("__")}  # noqa: S307 - our own set
    assert loaded <= sys.stdlib_module_names | {"service"}


def test_folder_is_walked_in_order_without_what_is_hidden_or_no_picture(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "c/d.webp", "c/notes.txt", "Thumbs.db", ".hidden.png", ".git/e.png"):
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        target.touch()
    pictures, skipped = find_pictures([str(tmp_path)])
    assert [picture.name for picture in pictures] == [
        f"{tmp_path}/{name}" for name in ("a.jpg", "b.PNG", "c/d.webp")
    ]
    assert [one.count for one in skipped] == [2]


def test_file_named_outright_is_sent_whatever_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "no-suffix").write_bytes(b"x")
    pictures, skipped = find_pictures([f"{tmp_path}/no-suffix"])
    assert (len(pictures), skipped) == (1, [])


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["nowhere.png"], "'nowhere.png': no such file or folder"),
        (["localhost:8000"], "a service's URL starts with http://"),
        (["empty"], "'empty': this folder holds no file named .apng, .bmp"),
        (["-", "-"], "'-' is given twice"),
        (["x" * 5000], "File name too long"),
    ],
)
def test_wrong_name_is_refused_naming_it(
    names: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        find_pictures(names)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("plain name.png", "plain name.png"),
        ("青い輪.png", "青い輪.png"),
        ("\x1b[31mred\n.png", r"\x1b[31mred\n.png"),
        ("\udcff.png", r"\udcff.png"),
        ("\u202egnp.cat", r"\u202egnp.cat"),
    ],
)
def test_names_can_not_steer_the_terminal(name: str, safe: str) -> None:
    assert shown(name) == safe


def test_table_is_aligned_in_wide_scripts_too() -> None:
    names = ["a.png", "青い輪.png"]
    table = Table(names, ["cat", "красная полоса"])
    lines = [table.head(), *(table.line(name, ANSWER) for name in names)]
    places = {columns(line[: line.index("cat, dog")]) for line in lines[1:]}
    assert places == {lines[0].index("PREDICTION SET")}
    assert all(" 50.0% low  cat, dog" in line for line in lines[1:])
    assert columns(padded("青", 4)) == 4


def test_set_of_hundreds_is_cut_short() -> None:
    line = Table(["a"], ["c"]).line(
        "a", {**ANSWER, "prediction_set": [f"c{number}" for number in range(300)]}
    )
    assert line.endswith("c7 and 292 more")


def test_json_line_brings_back_any_name() -> None:
    name = "\udcff\x1b\n青.png"
    line = JsonLines().line(name, ANSWER)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {"file": name, **ANSWER}
