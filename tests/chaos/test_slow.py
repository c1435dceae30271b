import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from chaos.crowd import Asked
from chaos.slow import SlowClient, judge

NEIGHBOUR = Asked(0.0, 0.1, 200, "")
TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\n"


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    with ExitStack() as stack:
        yield stack.enter_context(socket.socket())


def judged(headers: SlowClient, bodies: SlowClient, neighbour: Asked = NEIGHBOUR) -> list[str]:
    return list(judge([headers, bodies], [neighbour], 2, []).breaches)


def test_slow_clients_that_are_cut_off_in_time_break_nothing(connection: socket.socket) -> None:
    headers = SlowClient("headers", connection, 0, 2.1)
    assert judged(headers, SlowClient("bodies", connection, 0, 2.1, TIMED_OUT)) == []


def test_each_part_of_the_criterion_is_told(connection: socket.socket) -> None:
    kept, late = SlowClient("headers", connection, 0), SlowClient("bodies", connection, 0, 9.0)
    assert judged(kept, late, Asked(0.0, 1.5, 503, "overloaded")) == [
        "1 of 1 with slow headers were not cut off within 4 s",
        "1 of 1 with slow bodies were not cut off within 4 s",
        "1 of 1 with slow bodies were cut off without a 408",
        "1 of 1 neighbours' requests failed, the first with status 503: overloaded",
        "the slowest of 1 neighbours' requests took 1500 ms, more than 1000 ms",
    ]
