"""The rules of paying."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from action_gateway.domain.action import Repeat, StartedAction, find_award_id, find_request_id

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STARTED = StartedAction(
    user_id="u1",
    action_id="a1",
    version=1,
    board_id="main",
    points=10,
    repeat=Repeat.ONCE,
    min_ms=0,
    nonce=uuid.UUID(int=7),
    started_at_ms=int(NOON.timestamp() * 1000),
    expires_at=0,
)
HOUR_MS = 3_600_000


def test_an_unlimited_action_pays_by_token() -> None:
    unlimited = replace(STARTED, repeat=Repeat.UNLIMITED)

    assert find_award_id(unlimited) == unlimited.nonce


def test_an_action_that_pays_once_names_the_same_award_for_ever() -> None:
    later = replace(STARTED, nonce=uuid.UUID(int=8), started_at_ms=0, version=2, points=20)

    assert find_award_id(later) == find_award_id(STARTED)


@pytest.mark.parametrize("change", [{"user_id": "u2"}, {"action_id": "a2"}, {"board_id": "other"}])
def test_board_user_and_action_each_make_another_award(change: dict[str, str]) -> None:
    assert find_award_id(replace(STARTED, **change)) != find_award_id(STARTED)  # type: ignore[arg-type]


def test_an_action_of_the_day_goes_by_the_day_in_utc_of_its_start() -> None:
    daily = replace(STARTED, repeat=Repeat.DAILY)
    evening = replace(daily, started_at_ms=daily.started_at_ms + 12 * HOUR_MS - 1)
    midnight = replace(daily, started_at_ms=daily.started_at_ms + 12 * HOUR_MS)

    assert find_award_id(evening) == find_award_id(daily) != find_award_id(midnight)


def test_an_action_of_the_day_goes_by_the_day_of_the_board_where_it_has_one() -> None:
    daily = replace(STARTED, repeat=Repeat.DAILY)
    first, second = replace(daily, day="2026-03-02"), replace(daily, day="2026-03-03")

    assert find_award_id(first) != find_award_id(daily)
    assert find_award_id(first) != find_award_id(second)
    assert find_award_id(replace(first, started_at_ms=0)) == find_award_id(first)
    # A board that is given days of UTC pays nobody twice.
    assert find_award_id(replace(daily, day="2026-03-01")) == find_award_id(daily)


@given(st.lists(st.text(), min_size=4, max_size=4), st.lists(st.text(), min_size=4, max_size=4))
def test_two_requests_have_one_name_only_if_they_are_the_same(one: list[str], other: list[str]) -> None:
    assert (find_request_id(*one) == find_request_id(*other)) == (one == other)


def test_parts_of_a_request_cannot_be_shifted_against_each_other() -> None:
    assert find_request_id("u", "ab", "c", "d") != find_request_id("u", "a", "bc", "d")
