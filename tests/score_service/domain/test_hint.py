"""What is read out of a hint, and what is none."""

import pytest

from score_service.domain.hint import Hint, read_hint
from score_service.domain.position import Position
from score_service.domain.standing import Standing


def test_hint_has_positions_and_the_standing_of_each_user() -> None:
    text = "1 aa 3 bb\n2 1\nada 5 2\nbob 9 3"

    standings = (Standing("ada", 5, 2, 2), Standing("bob", 9, 1, 3))
    assert read_hint(text) == Hint(Position(1, "aa"), Position(3, "bb"), standings)


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
        "1 aa 3 bb\n\n",
    ],
)
def test_what_is_no_hint_is_passed_over(text: str) -> None:
    assert read_hint(text) is None
