"""A crowd and a single sender, in front of real servers."""

import itertools
import socket
import threading
from collections.abc import Iterator

import pytest

from chaos.crowd import Asked, crowd, not_answered, too_slow
from chaos.sender import Sender
from loadtest.address import Address
from tests.support import eventually

REFUSAL = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!"
MORE_THAN_IS_READ = 20_000_000


@pytest.fixture
def refusing() -> Iterator[Address]:
    """A server that answers once it has the head, and closes without reading on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(REFUSAL)

        thread = threading.Thread(target=refuse)
        thread.start()
        yield Address(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()


def test_refusal_amid_a_body_is_read(refusing: Address) -> None:
    with Sender(refusing) as sender:
        sent = sender.post("/classify", bytes(MORE_THAN_IS_READ))
    assert (sent.status, sent.said) == (413, "no!")


def test_nobody_there_is_no_answer_and_says_why() -> None:
    with Sender(Address("http://127.0.0.1:1")) as sender:
        sent = sender.post("/classify", b"picture")
    assert sent.status == 0
    assert "refused" in sent.said


def test_crowd_keeps_what_became_of_every_request(server: str) -> None:
    turns = itertools.cycle((Address(server), Address("http://127.0.0.1:1")))
    with crowd(lambda: next(turns), senders=1) as asked:
        assert eventually(lambda: len(asked) >= 4)
    assert [one.status for one in asked[:4]] == [200, 0, 200, 0]
    assert all(one.said and one.ended >= one.began for one in asked)


def test_sentences_on_a_crowd() -> None:
    well, ill = Asked(0.0, 0.1, 200, ""), Asked(0.0, 2.5, 500, "oops")
    assert not_answered([well]) == [] == too_slow([well], 1)
    assert not_answered([]) == ["no requests were sent"]
    assert not_answered([well, ill]) == ["1 of 2 requests failed, the first with status 500: oops"]
    assert too_slow([well, ill], 1) == ["the slowest of 2 requests took 2500 ms, more than 1000 ms"]
