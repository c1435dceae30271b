import asyncio
import errno
import io
import json
import logging
import sys
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


def test_name_that_is_no_text_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    log_one(file="\udc80.png")
    assert json.loads(capsys.readouterr().err)["file"] == "\udc80.png"


def test_lines_of_one_turn_are_written_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    async def log_two() -> tuple[str, str, str]:
        log_one(number=1)
        log_one(number=2)
        during = capsys.readouterr().err
        await asyncio.sleep(0)
        after = capsys.readouterr().err
        log_one(number=3)
        await asyncio.sleep(0)
        return during, after, capsys.readouterr().err

    configure_logging("info", "json")
    during, after, next_turn = asyncio.run(log_two())
    assert during == ""
    assert [json.loads(line)["number"] for line in after.splitlines()] == [1, 2]
    assert json.loads(next_turn)["number"] == 3


def test_warning_is_written_at_once_and_after_what_was_before(capsys: pytest.CaptureFixture[str]) -> None:
    async def warn() -> str:
        log_one(number=1)
        logging.getLogger("service").warning("soon full")
        return capsys.readouterr().err

    configure_logging("info", "json")
    first, second = asyncio.run(warn()).splitlines()
    assert (json.loads(first)["number"], json.loads(second)["message"]) == (1, "soon full")


def log_in_a_turn_that_does_not_end() -> None:
    async def log_last() -> None:
        log_one(number=1)
        asyncio.get_running_loop().stop()

    loop = asyncio.new_event_loop()
    last = loop.create_task(log_last())
    loop.run_forever()
    assert last.done()
    loop.close()


def test_lines_of_a_turn_that_does_not_end_are_written_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    log_in_a_turn_that_does_not_end()
    logging.getLogger().handlers[0].flush()  # as logging.shutdown does
    assert json.loads(capsys.readouterr().err)["number"] == 1


class _Full(io.StringIO):
    """Takes nothing, as a full disk does."""

    tried = 0

    def write(self, text: str) -> int:
        self.tried += len(text.splitlines())
        raise OSError(errno.ENOSPC, "No space left on device")


def test_lines_that_can_not_be_written_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    async def log_ten() -> None:
        for number in range(10):
            log_one(number=number)
            await asyncio.sleep(0)

    full = _Full()
    monkeypatch.setattr(sys, "stderr", full)
    configure_logging("info", "json")
    asyncio.run(log_ten())
    assert full.tried == 10


def test_lines_of_another_loop_are_written_though_the_last_one_did_not_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def log_next() -> str:
        log_one(number=2)
        await asyncio.sleep(0)
        return capsys.readouterr().err

    configure_logging("info", "json")
    log_in_a_turn_that_does_not_end()
    assert [json.loads(line)["number"] for line in asyncio.run(log_next()).splitlines()] == [1, 2]
