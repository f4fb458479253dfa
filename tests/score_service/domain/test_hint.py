"""What is read out of a hint, and what is none."""

import pytest

from score_service.domain.hint import Hint, read_hint
from score_service.domain.position import Position
from score_service.domain.standing import Standing


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
        "1 aa 3 bb\n",
        "1 aa 3 bb\n\n",
        "1 aa 3 bb\n1\nada 5 2\n\nday:2026-11-30\n1",
        "1 aa 3 bb\n\nday:2026-11-30\nada 5 2",
        "1 aa 3 bb\n\nday:2026-11-30\n1 2\nada 5 2",
    ],
)
def test_what_is_no_hint_is_passed_over(text: str) -> None:
    assert read_hint(text) is None
