import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.lab import Lab, Subject
from loadtest.address import ServerError
from loadtest.server import Service

TRACE = "Traceback (most recent call last):\n  File 'a.py', line 1, in f\n    raise KeyError(1)\nKeyError: 1"


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[Subject]:
    """Of a process that runs, and whose log a test writes."""
    log = tmp_path / "log"
    log.touch()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield Subject(Service("http://127.0.0.1:1", process, log))
        process.kill()


def write(subject: Subject, *lines: str) -> None:
    assert subject.service.log is not None
    subject.service.log.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_log_without_traces_is_no_fault(subject: Subject) -> None:
    write(subject, json.dumps({"message": "all is well"}))
    assert subject.faults() == []


@pytest.mark.parametrize("line", [TRACE, json.dumps({"message": "a request failed", "exception": TRACE})])
def test_trace_is_a_fault_whether_it_is_in_json_or_not(line: str, subject: Subject) -> None:
    write(subject, line, json.dumps({"message": "and on it goes"}), line)
    assert subject.faults() == ["2 stack traces are in the log, the first of KeyError: 1"]


def test_service_that_is_gone_is_a_fault(subject: Subject) -> None:
    subject.service.process.kill()
    subject.service.process.wait()
    assert subject.faults() == ["the service ended with status -9"]


def test_service_that_nobody_can_ask_has_no_ready_workers(subject: Subject) -> None:
    assert subject.ready_workers() == 0


def test_service_that_does_not_start_is_told_with_the_last_of_its_log(lab: Lab) -> None:
    with (
        pytest.raises(ServerError, match="GLIMPSE_PORT=x"),
        lab.service({"GLIMPSE_PORT": "x"}),
    ):
        pytest.fail("it started")
