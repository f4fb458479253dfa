"""A checkpoint is read as it was written, and nothing else is taken for one."""

from dataclasses import replace

import pytest

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.position import Position
from score_service.domain.standings.checkpoint import Checkpoint

START, LATER = Position.start("main"), Position(7, "7" * 16)


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint.begin(START),
        Checkpoint(START, LATER, 2_500, may_overlap=False, last_user_id="ada"),
        Checkpoint(LATER, LATER, 10**9, may_overlap=True, last_user_id="a:b@c.d_e-f"),
        Checkpoint.begin(START).enter("day:2026-11-30"),
        Checkpoint(START, LATER, 7, may_overlap=False, last_user_id="ada", period_id="season:one"),
    ],
)
def test_checkpoint_is_read_as_it_was_written(checkpoint: Checkpoint) -> None:
    assert Checkpoint.parse(str(checkpoint)) == checkpoint


@pytest.mark.parametrize(
    "text", ["", "7", f"{START} {LATER} 1 0", f"x {LATER} 1 0 ada", f"{START} {LATER} -1 0 ada", "a b 1 2 c"]
)
def test_other_text_is_no_checkpoint(text: str) -> None:
    assert Checkpoint.parse(text) is None


def test_pages_of_a_period_begin_with_its_first_user_and_go_on_where_they_were() -> None:
    all_time = Checkpoint(START, LATER, 2, may_overlap=False, last_user_id="zoe")

    day = all_time.enter("day:2026-11-30")

    assert (day.period_id, day.last_user_id, day.members) == ("day:2026-11-30", "", 2)
    loaded = replace(day, last_user_id="bob")
    assert loaded.enter("day:2026-11-30") == loaded
    assert [loaded.is_past(p) for p in (ALL_TIME, "day:2026-11-29", "day:2026-11-30", "week:2026-W49")] == [
        True,
        True,
        False,
        False,
    ]
    assert not all_time.is_past(ALL_TIME)
    assert not all_time.is_past("day:2026-11-30")
