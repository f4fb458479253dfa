"""Which period is current where servers disagree."""

from dataclasses import replace
from datetime import timedelta

from tests.action_gateway.scripted_board import day_of

from action_gateway.domain.periods import steps_back

FIRST, SECOND = day_of(1), day_of(2)
MIDNIGHT = SECOND.starts_at.timestamp()


def test_former_period_is_over_once_the_next_one_begins_within_a_minute() -> None:
    times = (MIDNIGHT - 61, MIDNIGHT - 60, MIDNIGHT, MIDNIGHT + 600)
    assert [steps_back(FIRST, SECOND, now) for now in times] == [False, True, True, True]


def test_period_that_is_the_same_later_or_overlaps_is_no_step_back() -> None:
    longer = replace(FIRST, ends_at=FIRST.ends_at + timedelta(microseconds=1))
    for found in (longer, SECOND, day_of(3)):
        assert not steps_back(found, SECOND, MIDNIGHT)
