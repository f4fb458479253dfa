"""What a plan of reversals is known by."""

from datetime import UTC, datetime
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from score_service.domain.ledger.history import AwardFilter
from score_service.domain.ledger.position import Position
from score_service.domain.tokens.opaque_text import write_opaque
from score_service.domain.tokens.plan_token import PlanToken, name_selection, read_plan_token
from score_service.errors import InvalidRequestError

PLAN_ID = "11111111-2222-4333-8444-555555555555"
TOKEN = PlanToken(PLAN_ID, Position(7, "00112233aabbccdd"), 3, "0123456789abcdef" * 2, 5, 50, 2)
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
FULL = AwardFilter("spiffe://a/b", "puzzle_1", "puzzle", "ada", NOON, NOON.replace(hour=13))


def test_a_token_is_read_as_it_was_written_and_can_stand_in_a_url() -> None:
    assert read_plan_token(TOKEN.text) == TOKEN
    assert set(TOKEN.text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(text=st.text() | st.text().map(write_opaque))
def test_whatever_else_comes_is_rejected(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        read_plan_token(text)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (PLAN_ID, "1111"),
        (PLAN_ID, PLAN_ID.replace("5", "A")),
        ("7-00112233aabbccdd", "7"),
        ("7-00112233aabbccdd", f"{2**63}-00112233aabbccdd"),
        (" 3 ", " -3 "),
        (" 3 ", f" {10**18} "),
        (" 50 ", " 050 "),
        ("0123456789abcdef", "0123"),
        (" 2", ""),
        (" 2", " 2 "),
    ],
)
def test_a_token_with_a_part_that_cannot_be_is_rejected(part: str, other: str) -> None:
    text = f"{PLAN_ID} 7-00112233aabbccdd 3 {'0123456789abcdef' * 2} 5 50 2"
    assert write_opaque(text) == TOKEN.text
    with pytest.raises(InvalidRequestError):
        read_plan_token(write_opaque(text.replace(part, other)))


def test_the_id_of_a_reversal_follows_from_the_plan_and_the_award() -> None:
    award_id = "99999999-2222-4333-8444-555555555555"
    assert TOKEN.reversal_id(award_id) == str(uuid5(UUID(PLAN_ID), award_id))


def test_a_selection_is_of_a_board_and_of_each_field_of_a_filter() -> None:
    others = [
        FULL._replace(caller="spiffe://a/c"),
        FULL._replace(action_id=None),
        FULL._replace(action_type="puzzle_1", action_id="puzzle"),
        FULL._replace(user_id="bob"),
        FULL._replace(recorded_from=None),
        FULL._replace(recorded_until=NOON),
    ]
    names = [name_selection("main", FULL), name_selection("other", FULL)]
    names += [name_selection("main", other) for other in others]
    assert len(set(names)) == len(names)
    assert name_selection("main", FULL._replace()) == names[0]
