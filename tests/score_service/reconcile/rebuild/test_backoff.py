"""Rebuilds that keep failing become rare."""

import pytest
from tests.fixtures.clocks import SetClock

from score_service.reconcile.rebuild import backoff as backoff_module
from score_service.reconcile.rebuild.backoff import Backoff


@pytest.fixture
def clock() -> SetClock:
    return SetClock(100.0)


def waits(backoff: Backoff, clock: SetClock, failures: int) -> list[float]:
    """Return how long a board waits after each of some failures."""
    seconds = list[float]()
    for _ in range(failures):
        backoff.fail("main")
        began = clock.now
        while not backoff.is_due("main"):
            clock.now += 1
        seconds.append(clock.now - began)
    return seconds


def test_each_failure_after_the_first_ones_waits_twice_as_long_up_to_ten_minutes(clock: SetClock) -> None:
    assert waits(Backoff(clock), clock, 16) == [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]


def test_success_ends_the_wait(clock: SetClock) -> None:
    backoff = Backoff(clock)
    waits(backoff, clock, 8)
    backoff.fail("main")
    assert not backoff.is_due("main")

    backoff.succeed("main")

    assert backoff.is_due("main")
    assert waits(backoff, clock, 4) == [0, 0, 0, 1]


def test_other_boards_do_not_wait(clock: SetClock) -> None:
    backoff = Backoff(clock)
    for _ in range(9):
        backoff.fail("main")

    assert backoff.is_due("other")


def test_number_of_boards_is_bounded(clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff_module, "_BOARDS_MAX", 2)
    backoff = Backoff(clock)
    for board_id in ("a", "b", "c"):
        for _ in range(4):
            backoff.fail(board_id)

    assert [backoff.is_due(board_id) for board_id in ("a", "b", "c")] == [True, False, False]
