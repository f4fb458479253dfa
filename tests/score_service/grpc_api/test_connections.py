"""How old connections are, as far as calls show it."""

import pytest
from tests.fixtures.clocks import SetClock

from score_service.grpc_api.connections import Connections

FIRST, SECOND, THIRD = (f"ipv4:127.0.0.1:{port}" for port in (5001, 5002, 5003))
LONGEST = 100.0


@pytest.fixture
def clock() -> SetClock:
    return SetClock(1000.0)


@pytest.fixture
def connections(clock: SetClock) -> Connections:
    return Connections(LONGEST, known_max=2, clock=clock)


def test_a_connection_is_as_old_as_the_first_call_on_it(connections: Connections, clock: SetClock) -> None:
    assert connections.note(FIRST) == 1100.0
    clock.now = 1050.0
    assert connections.note(FIRST) == 1100.0
    assert connections.note(SECOND) == 1150.0


def test_a_connection_that_is_gone_is_forgotten_and_no_other(
    connections: Connections, clock: SetClock
) -> None:
    connections.note(FIRST)
    clock.now = 1050.0
    connections.note(SECOND)
    clock.now = 1100.0
    connections.forget_old()
    assert len(connections) == 1
    assert connections.note(SECOND) == 1150.0


def test_an_address_that_is_used_again_is_of_a_new_connection(
    connections: Connections, clock: SetClock
) -> None:
    connections.note(FIRST)
    clock.now = 1100.0
    connections.forget(FIRST)
    connections.forget(FIRST)
    assert connections.note(FIRST) == 1200.0


def test_of_more_connections_than_may_be_known_the_oldest_are_forgotten(
    connections: Connections, clock: SetClock
) -> None:
    for address in (FIRST, SECOND, THIRD):
        connections.note(address)
    assert len(connections) == 2
    clock.now = 1010.0
    assert connections.note(SECOND) == connections.note(THIRD) == 1100.0
    assert connections.note(FIRST) == 1110.0
