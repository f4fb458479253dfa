"""Positions and their text form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from score_service.domain.ledger.position import Position


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_text_form_gives_the_position_back(revision: int, digest: bytes) -> None:
    position = Position.of(revision, digest)

    assert Position.parse(str(position)) == position


@given(st.text())
def test_any_other_text_is_no_position(text: str) -> None:
    position = Position.parse(text)

    assert position is None or str(position) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "-5-0011223344556677",
        "05-0011223344556677",
        "5-0011223344556677\n",
        "5-00112233445566AA",
        "9223372036854775808-0011223344556677",
        "\u0665-0011223344556677",
    ],
)
def test_malformed_text_is_no_position(text: str) -> None:
    assert Position.parse(text) is None


def test_boards_start_at_positions_of_their_own() -> None:
    assert Position.start("one") != Position.start("two")
    assert Position.start("one").revision == 0
