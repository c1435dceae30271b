"""The client against the real service, which is well."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.server import running_service
from tests.e2e.client import CAT, DOG, client, rows
from tests.support import PICTURES, ROOT, service_command


def shell(script: str) -> "subprocess.CompletedProcess[str]":
    bash = shutil.which("bash") or "bash"
    return subprocess.run(
        [bash, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )


def test_pictures_are_classified_in_the_order_given(server: str) -> None:
    names = [PICTURES / f"{name}.png" for name in ("truck", "cat", "dog", "bird", "cat")]
    done = client(*names, server, "--jobs", "3")
    assert done.returncode == 0, done.stderr
    assert [row[0] for row in rows(done)] == [str(name) for name in names]
    assert [row[1] for row in rows(done)] == ["truck", "cat", "dog", "bird", "cat"]
    assert all(re.fullmatch(r"\d+\.\d%( low)?", row[2]) for row in rows(done))
    assert rows(done)[1][3] == "cat"
    assert done.stderr == ""


def test_folder_says_what_it_left_out_and_one_bad_picture_fails_alone(server: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    shutil.copy(CAT, tmp_path / "sub" / "青い 輪.png")
    shutil.copy(DOG, tmp_path / os.fsdecode(b"\x1b[31m\xff.png"))
    (tmp_path / "broken.jpg").write_text("no picture")
    (tmp_path / "notes.txt").touch()
    done = client(tmp_path, server)
    assert done.returncode == 1
    assert [row[0].removeprefix(f"{tmp_path}/") for row in rows(done)] == [
        r"\x1b[31m\udcff.png",
        "broken.jpg",
        "sub/青い 輪.png",
    ]
    assert rows(done)[1][1].startswith("FAILED: the data is not a picture in an accepted format")
    assert "1 file has no picture's suffix, left out" in done.stderr
    assert "1 of 3 failed" in done.stderr


def test_json_is_a_document_a_line_with_the_services_answer(server: str, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    done = client("--json", CAT, tmp_path / "empty.png", "--model", "cnn", server)
    assert done.returncode == 1
    cat, empty = map(json.loads, done.stdout.splitlines())
    assert cat["file"] == str(CAT)
    assert cat["prediction"]["class"] == "cat"
    assert cat["model"]["name"] == "cnn"
    assert empty["file"] == f"{tmp_path}/empty.png"
    assert empty["error"]["code"] == "empty_body"


def test_names_survive_an_ascii_terminal(server: str, tmp_path: Path) -> None:
    shutil.copy(CAT, tmp_path / "青.png")
    done = client(tmp_path, server, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u9752.png" in done.stdout


def test_standard_input_and_pipes_are_read(server: str) -> None:
    with CAT.open("rb") as picture:
        done = client("-", "/dev/fd/0", server, stdin=picture)
    assert rows(done)[0][:2] == ["-", "cat"]
    script = f'{sys.executable} -m service.client classify <(cat "{DOG}") {server}'
    piped = shell(script)
    assert piped.stdout.splitlines()[1].split()[1] == "dog"


def test_body_over_the_limit_fails_with_the_services_sentence(server: str, tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(bytes(30_000_000))
    done = client(tmp_path / "large.jpg", CAT, server, "--jobs", "1")
    assert done.returncode == 1
    assert "FAILED: the body is larger than 10000000 bytes" in done.stdout
    assert rows(done)[1][1] == "cat"


def test_file_that_can_not_be_read_fails_alone(server: str, tmp_path: Path) -> None:
    locked = tmp_path / "a.png"
    locked.symlink_to("/proc/self/mem")  # a regular file that even root can't read from its start
    done = client(locked, CAT, server, "--retries", "0")
    assert done.returncode == 1
    assert rows(done)[0][1].startswith("FAILED: ")
    assert rows(done)[1][1] == "cat"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.png"], "'nowhere.png': no such file or folder"),
        ([CAT, "--model", "none"], "model 'none' is not loaded: choose one of"),
        ([CAT, "--version", "77"], "has no version '77': choose one of"),
        ([CAT, "http://127.0.0.1:1"], "give one service's URL"),
        ([], "no picture is named"),
        ([CAT, "--jobs", "0"], "'0' is not allowed: give a whole number of 1 to 256"),
        ([CAT, "--timeout", "nan"], "'nan' is not allowed: give seconds above 0"),
        ([CAT, "--key", "line\nbreak"], "characters that can't stand in a header"),
    ],
)
def test_bad_usage_ends_with_2_and_a_sentence(arguments: list[object], says: str, server: str) -> None:
    done = client(*arguments, server)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1", "no service answers there (Connection refused): start one with 'make serve'"),
        ("https://127.0.0.1:1", "no service answers there"),
        ("http://", "names no host"),
        ("http://127.0.0.1:99999", "Port out of range"),
        ("http://me:secret@127.0.0.1", "give the key with --key"),
    ],
)
def test_url_without_a_service_ends_with_2(url: str, says: str) -> None:
    done = client(CAT, url)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert url in done.stderr
    assert says in done.stderr


def test_wrong_path_is_not_the_service(server: str) -> None:
    done = client(CAT, f"{server}/classify")
    assert done.returncode == 2
    assert f"{server}/classify: " in done.stderr


def test_key_opens_and_a_wrong_one_is_never_shown(artifacts: Path) -> None:
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "1", "GLIMPSE_API_KEYS": "right"}
    with running_service(service_command(), settings) as guarded:
        assert client(CAT, guarded.url, "--key", "right").returncode == 0
        assert client(CAT, guarded.url, GLIMPSE_KEY="right").returncode == 0
        without, wrong = client(CAT, guarded.url), client(CAT, guarded.url, "--key", "top-secret")
    assert (without.returncode, wrong.returncode) == (2, 2)
    assert "give one with --key or in GLIMPSE_KEY" in without.stderr
    assert "is none that this service knows" in wrong.stderr
    assert "top-secret" not in wrong.stderr


def test_reader_that_stops_reading_is_no_trouble(server: str) -> None:
    many = " ".join([str(PICTURES)] * 30)
    done = shell(f"{sys.executable} -m service.client classify {many} {server} | head -n 1")
    assert done.stdout.startswith("FILE")
    assert done.stderr == ""


def test_progress_is_for_terminals_only(server: str) -> None:
    ours, theirs = pty.openpty()
    done = client(PICTURES, server, stderr=theirs)
    os.close(theirs)
    seen = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "10 of 10" in seen
    assert len(rows(done)) == 10
    assert client(PICTURES, server).stderr == ""


def test_help_names_the_exit_statuses() -> None:
    done = client("--help")
    assert done.returncode == 0
    assert all(f"\n  {status}  " in done.stdout for status in (0, 1, 2, 130))


def test_demo_goes_as_expected(artifacts: Path) -> None:
    command = [sys.executable, "-m", "service.demo"]
    environment = {**os.environ, "GLIMPSE_ARTIFACTS": str(artifacts)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "12 of 12 pictures were classified, 12 as what they show, and the text was refused" in done.stdout
