"""The balancer, in front of real servers."""

from chaos.rolling import Balancer
from loadtest.address import Address
from tests.loadtest.stub import StubServer, running
from tests.support import eventually


def test_requests_go_in_turns_to_those_that_are_ready_and_no_longer_to_one_that_is_gone() -> None:
    with running(StubServer()) as one, Balancer() as balancer:
        with running(StubServer()) as two:
            for url in (one, two):
                balancer.add(Address(url))
            assert eventually(lambda: {balancer.choose().url for _ in range(2)} == {one, two})
        assert eventually(lambda: {balancer.choose().url for _ in range(2)} == {one})
        balancer.remove(Address(two))
        assert balancer.choose() == Address(one)
