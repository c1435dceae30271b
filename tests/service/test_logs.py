import json
import logging
from collections.abc import Iterator

import pytest

from service.logs import FIELDS, configure_logging


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root, uvicorn = logging.getLogger(), logging.getLogger("uvicorn")
    before = (root.level, list(root.handlers), uvicorn.level)
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    uvicorn.setLevel(before[2])


def log_one(**fields: object) -> None:
    logging.getLogger("service.requests").info("POST %s", "/classify", extra={FIELDS: fields})


def test_json_line_has_the_message_and_all_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json", worker=3)
    log_one(request_id="a1", status=200)
    line = json.loads(capsys.readouterr().err)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "service.requests",
        "message": "POST /classify",
        "worker": 3,
        "request_id": "a1",
        "status": 200,
    }


def test_what_a_caller_sent_can_not_make_a_second_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    log_one(request_id='x\n{"level": "error"}')
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_exception_is_in_the_same_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    try:
        int("no")
    except ValueError:
        logging.getLogger("service").exception("it failed")
    line = json.loads(capsys.readouterr().err)
    assert line["exception"].endswith("base 10: 'no'")


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "text")
    log_one(request_id="a1", status=200)
    assert capsys.readouterr().err.strip().endswith("INFO    POST /classify request_id=a1 status=200")


def test_lines_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("warning", "json")
    log_one()
    assert capsys.readouterr().err == ""
