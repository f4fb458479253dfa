"""How long a projection may be behind and still be read."""

import pytest
from tests.fixtures.clocks import SetClock

from score_service.reconcile.freshness import STALE_SECONDS, Freshness


@pytest.fixture
def clock() -> SetClock:
    return SetClock(100.0)


@pytest.fixture
def freshness(clock: SetClock) -> Freshness:
    return Freshness(clock)


def test_projection_that_lacks_something_for_a_second_is_stale(freshness: Freshness, clock: SetClock) -> None:
    freshness.note_lack("main", 5)
    assert not freshness.is_stale("main", 4)

    clock.now += STALE_SECONDS

    assert freshness.is_stale("main", 4)
    assert not freshness.is_stale("main", 5)
    assert not freshness.is_stale("other", 0)


def test_projection_that_follows_a_busy_board_is_not_stale(freshness: Freshness, clock: SetClock) -> None:
    for revision in range(10, 100, 10):
        freshness.note_lack("main", revision)
        assert not freshness.is_stale("main", revision - 10)
        clock.now += STALE_SECONDS


def test_projection_that_stands_still_is_stale_while_the_record_moves_on(
    freshness: Freshness, clock: SetClock
) -> None:
    for revision in range(1, 100):
        freshness.note_lack("main", revision)
        assert freshness.is_stale("main", 0) is (revision > 8)
        clock.now += STALE_SECONDS / 8


def test_projection_that_has_caught_up_may_lack_something_else_for_a_second(
    freshness: Freshness, clock: SetClock
) -> None:
    freshness.note_lack("main", 5)
    clock.now += STALE_SECONDS
    freshness.note_reached("main", 4)
    assert freshness.is_stale("main", 4)
    freshness.note_reached("main", 5)

    freshness.note_lack("main", 6)

    assert not freshness.is_stale("main", 5)


def test_boards_that_the_record_has_not_and_all_boards_while_it_is_unavailable_are_forgotten(
    freshness: Freshness, clock: SetClock
) -> None:
    freshness.note_lack("main", 5)
    freshness.note_lack("other", 5)
    clock.now += STALE_SECONDS

    freshness.keep({"main"})
    assert (freshness.is_stale("main", 0), freshness.is_stale("other", 0)) == (True, False)
    freshness.forget()
    assert not freshness.is_stale("main", 0)
