"""The lines that changes are written in."""

from score_service.domain.ledger.changes import Change, Changes, read_lines, write_lines
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.visibility import Visibility

CHANGES = (Change("ada", 8, 3), Change("bob", 2, 4))
LINES = "ada 8 3\nbob 2 4"


def test_changes_are_written_as_lines_and_read_back() -> None:
    assert write_lines(CHANGES) == LINES
    assert read_lines(LINES) == CHANGES
    assert read_lines(write_lines([])) == ()


def test_what_an_award_does_not_change_stands_in_a_line_only_where_it_changed() -> None:
    changes = (Change("ada", 8, 3, 5), Change("bob", 2, 4, 6, Visibility.HIDDEN))

    assert write_lines(changes) == "ada 8 3 5\nbob 2 4 6 h"
    assert read_lines(write_lines(changes)) == changes


def test_lines_are_those_of_all_time_or_of_a_period() -> None:
    changes = Changes(
        "main", Position.start("main"), Position(4, "4" * 16), CHANGES, {"week:2026-W49": "eve 1 1"}
    )

    assert changes.lines() == LINES
    assert changes.lines("week:2026-W49") == "eve 1 1"
