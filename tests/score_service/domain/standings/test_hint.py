"""What is read out of a hint, and what is none."""

import pytest

from score_service.domain.ledger.position import Position
from score_service.domain.standings.hint import Hint, read_hint
from score_service.domain.standings.standing import Standing


def test_hint_has_positions_and_the_standing_of_each_user() -> None:
    text = "1 aa 3 bb\n2 1\nada 5 2\nbob 9 3"

    standings = (Standing("ada", 5, 2, 2), Standing("bob", 9, 1, 3))
    assert read_hint(text) == Hint(Position(1, "aa"), Position(3, "bb"), standings)


def test_hint_has_the_standings_of_each_period_and_the_periods_that_became_final() -> None:
    text = "1 aa 3 bb\n2 1\nada 5 2\nbob 9 3\n\nday:2026-11-30\n1\nbob 4 3\n\nday:2026-11-29"

    hint = read_hint(text)

    assert hint
    assert hint.standings == (Standing("ada", 5, 2, 2), Standing("bob", 9, 1, 3))
    assert hint.periods == {"day:2026-11-30": (Standing("bob", 4, 1, 3),)}
    assert hint.finished == ("day:2026-11-29",)


def test_hint_of_entries_alone_has_positions_and_no_user() -> None:
    assert read_hint("1 aa 2 bb") == Hint(Position(1, "aa"), Position(2, "bb"), ())
    assert read_hint("1 aa 2 bb\n\nseason:one") == Hint(
        Position(1, "aa"), Position(2, "bb"), (), finished=("season:one",)
    )


def test_hint_says_who_is_hidden_and_who_has_no_points() -> None:
    text = "1 aa 6 bb\nh s4 - s 2\nada 5 2\nbob 9 3 4 s\ncyd 0 0 5\ndan 0 0 6\neve 7 1 6"

    hint = read_hint(text)

    assert hint
    assert hint.standings == (
        Standing("ada", 5, None, 2, hidden=True),
        Standing("bob", 9, 4, 3, hidden=True),
        Standing("cyd", 0, None, 0),
        Standing("dan", 0, None, 0, hidden=True),
        Standing("eve", 7, 2, 1),
    )
    assert hint.has_visibilities


def test_hint_of_awards_and_reversals_says_that_nobody_was_hidden_or_shown() -> None:
    hint = read_hint("1 aa 6 bb\n1 2 h 4 5\na 5 2\nb 9 3 4\nc 1 4\nd 1 5\ne 1 6")

    assert hint
    assert not hint.has_visibilities


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "1 aa 3\n1\nada 5 2",
        "1 aa x bb\n1\nada 5 2",
        "1 aa 3 bb\n1 2\nada 5 2",
        "1 aa 3 bb\n1\nada 5 2\nbob 9 3",
        "1 aa 3 bb\n1\nada 5",
        "1 aa 3 bb\n1\nada five 2",
        "1 aa 3 bb\nx\nada 5 2",
        "1 aa 3 bb\nsx\nada 5 2",
        "1 aa 3 bb\n1 \nada 5 2\nbob 9 3",
        "1 aa 3 bb\n",
        "1 aa 3 bb\n\n",
        "1 aa 3 bb\n1\nada 5 2\n\nday:2026-11-30\n1",
        "1 aa 3 bb\n\nday:2026-11-30\nada 5 2",
        "1 aa 3 bb\n\nday:2026-11-30\n1 2\nada 5 2",
    ],
)
def test_what_is_no_hint_is_passed_over(text: str) -> None:
    assert read_hint(text) is None
