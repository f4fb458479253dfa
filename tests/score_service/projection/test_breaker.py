"""The circuit breaker, on a clock of its own."""

import pytest

from score_service.projection.breaker import PROBE_SECONDS, Breaker


class Clock:
    """Time that a test moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_everything_is_tried_while_nothing_fails(clock: Clock) -> None:
    breaker = Breaker(clock)
    breaker.succeed()

    assert all(breaker.admit() for _ in range(10))


def test_after_a_failure_nothing_is_tried_for_a_second(clock: Clock) -> None:
    breaker = Breaker(clock)
    breaker.fail()
    clock.now += PROBE_SECONDS - 0.01

    assert not breaker.admit()


def test_one_probe_a_second_is_tried_until_one_succeeds(clock: Clock) -> None:
    breaker = Breaker(clock)
    breaker.fail()
    clock.now += PROBE_SECONDS

    assert [breaker.admit() for _ in range(3)] == [True, False, False]
    clock.now += PROBE_SECONDS
    assert [breaker.admit() for _ in range(3)] == [True, False, False]

    breaker.succeed()

    assert all(breaker.admit() for _ in range(3))


def test_failed_probe_makes_the_next_wait_a_second_from_its_end(clock: Clock) -> None:
    breaker = Breaker(clock)
    breaker.fail()
    clock.now += PROBE_SECONDS
    breaker.admit()
    clock.now += 0.5
    breaker.fail()
    clock.now += PROBE_SECONDS - 0.1

    assert not breaker.admit()
