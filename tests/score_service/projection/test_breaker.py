"""The circuit breaker, on a clock of its own."""

import pytest
from tests.fixtures.clocks import SetClock

from score_service.projection.breaker import PROBE_SECONDS, Breaker


@pytest.fixture
def clock() -> SetClock:
    return SetClock(100.0)


def test_everything_is_tried_while_nothing_fails(clock: SetClock) -> None:
    breaker = Breaker(clock)
    breaker.succeed()

    assert all(breaker.admit() for _ in range(10))


def test_after_a_failure_nothing_is_tried_for_a_second(clock: SetClock) -> None:
    breaker = Breaker(clock)
    breaker.fail()
    clock.now += PROBE_SECONDS - 0.01

    assert not breaker.admit()


def test_one_probe_a_second_is_tried_until_one_succeeds(clock: SetClock) -> None:
    breaker = Breaker(clock)
    breaker.fail()
    clock.now += PROBE_SECONDS

    assert [breaker.admit() for _ in range(3)] == [True, False, False]
    clock.now += PROBE_SECONDS
    assert [breaker.admit() for _ in range(3)] == [True, False, False]

    breaker.succeed()

    assert all(breaker.admit() for _ in range(3))


def test_failed_probe_makes_the_next_wait_a_second_from_its_end(clock: SetClock) -> None:
    breaker = Breaker(clock)
    breaker.fail()
    clock.now += PROBE_SECONDS
    breaker.admit()
    clock.now += 0.5
    breaker.fail()
    clock.now += PROBE_SECONDS - 0.1

    assert not breaker.admit()
