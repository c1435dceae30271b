import re

import pytest

from service.trace import Trace

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_sound_request_id_is_kept() -> None:
    assert Trace(request_id=b"order-17:a.b_c").request_id == "order-17:a.b_c"


@pytest.mark.parametrize("given", ["", "a b", 'quo"te', "new\nline", "ünsafe", "a" * 129])
def test_request_id_that_could_harm_a_log_is_replaced(given: str) -> None:
    assert re.fullmatch("[0-9a-f]{32}", Trace(request_id=given.encode("latin-1")).request_id)


def test_every_request_without_an_id_gets_one_of_its_own() -> None:
    assert Trace().request_id != Trace().request_id


def test_trace_id_comes_from_traceparent_and_stands_in_for_the_request_id() -> None:
    trace = Trace(PARENT.encode())
    assert trace.trace_id == trace.request_id == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "given",
    [PARENT.upper(), PARENT[:-3], "00-" + "0" * 32 + "-00f067aa0ba902b7-01", PARENT.replace("4bf9", "zzzz")],
)
def test_traceparent_against_the_standard_is_ignored(given: str) -> None:
    assert Trace(given.encode()).trace_id is None


def test_stages_add_up_and_are_told_in_milliseconds() -> None:
    trace = Trace()
    trace.add("decode", 0.001)
    trace.add("decode", 0.002)
    trace.add("infer", 0.0005)
    assert trace.server_timing(0.004) == "decode;dur=3.000, infer;dur=0.500, total;dur=4.000"
