import os
import threading
import time
from collections.abc import Iterator
from typing import IO

import pytest

from service.pipes import read_by, read_line_by, write_by

Pipe = tuple[IO[bytes], IO[bytes]]
MORE_THAN_IT_HOLDS = 1_000_000


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Its ends for reading and for writing."""
    ends = os.pipe()
    os.set_blocking(ends[1], False)
    with os.fdopen(ends[0], "rb") as reader, os.fdopen(ends[1], "wb") as writer:
        yield reader, writer


def soon() -> float:
    return time.monotonic() + 0.05


def later() -> float:
    return time.monotonic() + 20


def test_line_and_what_follows_it_come_through(pipe: Pipe) -> None:
    reader, writer = pipe
    write_by(later(), writer, b"a line\nand more")
    line, rest = read_line_by(later(), reader)
    assert line == b"a line"
    assert read_by(later(), reader, 8, rest) == b"and more"


def test_more_than_a_pipe_holds_goes_through_while_it_is_read(pipe: Pipe) -> None:
    reader, writer = pipe
    data = os.urandom(MORE_THAN_IT_HOLDS)
    thread = threading.Thread(target=write_by, args=(later(), writer, data))
    thread.start()
    assert read_by(later(), reader, len(data)) == data
    thread.join()


def test_what_does_not_come_or_is_not_taken_in_time_is_given_up(pipe: Pipe) -> None:
    reader, writer = pipe
    with pytest.raises(TimeoutError):
        read_line_by(soon(), reader)
    with pytest.raises(TimeoutError):
        write_by(soon(), writer, bytes(MORE_THAN_IT_HOLDS))


def test_other_end_that_is_gone_is_no_reason_to_wait(pipe: Pipe) -> None:
    reader, writer = pipe
    reader.close()
    with pytest.raises(BrokenPipeError):
        write_by(later(), writer, b"anybody?")


def test_writer_that_is_gone_is_no_reason_to_wait(pipe: Pipe) -> None:
    reader, writer = pipe
    write_by(later(), writer, b"half a li")
    writer.close()
    with pytest.raises(BrokenPipeError):
        read_line_by(later(), reader)
