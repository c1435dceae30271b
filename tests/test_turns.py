"""Turns, taken by real processes."""

import subprocess
import sys
from pathlib import Path

from tests.support import ROOT, eventually

# Says when it begins and ends, and is in between for a while.
TURN = """
import sys, time
from pathlib import Path
from tests.turns import turn

folder, name, alone = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "alone"
print(name, "waits", flush=True)
with turn(folder, alone=alone):
    with (folder / "log").open("a") as log:
        print(f"{name} begins", file=log, flush=True)
        time.sleep(float(sys.argv[4]))
        print(f"{name} ends", file=log, flush=True)
"""


def start(folder: Path, name: str, kind: str, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", TURN, str(folder), name, kind, str(seconds)]
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def log_of(folder: Path, *processes: "subprocess.Popen[str]") -> list[str]:
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    return (folder / "log").read_text().splitlines()


def wait_for(folder: Path, line: str) -> None:
    log = folder / "log"
    assert eventually(lambda: log.exists() and line in log.read_text(), 30)


def test_others_run_at_the_same_time(tmp_path: Path) -> None:
    first = start(tmp_path, "a", "beside", 5)
    wait_for(tmp_path, "a begins")
    second = start(tmp_path, "b", "beside", 0)
    assert log_of(tmp_path, second)[:3] == ["a begins", "b begins", "b ends"]
    first.kill()
    first.communicate()


def test_one_that_is_alone_waits_for_others_and_others_for_it(tmp_path: Path) -> None:
    first = start(tmp_path, "a", "beside", 1)
    wait_for(tmp_path, "a begins")
    alone = start(tmp_path, "alone", "alone", 1)
    wait_for(tmp_path, "a ends")
    last = start(tmp_path, "b", "beside", 0)
    lines = log_of(tmp_path, first, alone, last)
    assert lines == ["a begins", "a ends", "alone begins", "alone ends", "b begins", "b ends"]
