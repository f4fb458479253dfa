"""Tokens of pages."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from score_service.domain.board.period import Period, PeriodChoice, PeriodKind, StoredPeriod
from score_service.domain.ledger.award import MAX_TOTAL
from score_service.domain.standings.standing import Standing
from score_service.domain.tokens.page_token import (
    PageEnd,
    pin_page_token,
    read_award_token,
    read_board_token,
    read_page_token,
    read_period_token,
    unpin_page_token,
    write_award_token,
    write_board_token,
    write_page_token,
    write_period_token,
)
from score_service.errors import InvalidRequestError

NUMBERS = st.integers(0, MAX_TOTAL)
IDS = st.from_regex(r"[A-Za-z0-9._:@-]{1,128}", fullmatch=True)


@given(NUMBERS, NUMBERS, IDS)
def test_token_holds_where_the_page_ended(total: int, reached: int, user_id: str) -> None:
    token = write_page_token(Standing(user_id, total, None, reached))

    assert read_page_token(token) == PageEnd(total, reached, user_id)


def test_first_page_has_no_end_before_it() -> None:
    assert read_page_token("") is None


@pytest.mark.parametrize("token", ["x", "====", "ä", "\ud800", "MTAg", "LTEgMiBhZGE", "MSAyIA"])
def test_token_that_was_not_given_is_rejected(token: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_page_token(token)

    assert list(caught.value.fields) == ["page_token"]


DAY, WEEK = PeriodChoice(PeriodKind.DAY), PeriodChoice(PeriodKind.WEEK)
MONDAY = PeriodChoice(PeriodKind.DAY, "day:2026-11-30")
TOKEN = write_page_token(Standing("ada", 5, None, 3))


def test_token_of_a_page_of_boards_gives_the_board_back() -> None:
    assert read_board_token(write_board_token("season-1")) == "season-1"
    assert read_board_token("") == ""


@pytest.mark.parametrize("token", ["x", "bWFpbg==", "YSBi", "\ud800", write_board_token("a") + "."])
def test_any_other_token_of_boards_is_rejected(token: str) -> None:
    with pytest.raises(InvalidRequestError):
        read_board_token(token)


@given(st.integers(1, 10**18 - 1))
def test_token_of_a_page_of_awards_gives_the_revision_back(revision: int) -> None:
    assert read_award_token(write_award_token(revision)) == revision


def test_first_page_of_awards_has_no_token() -> None:
    assert read_award_token("") is None


@pytest.mark.parametrize("text", ["", "0", "01", "-1", "1 1", "a", str(10**18)])
def test_any_other_token_of_awards_is_rejected(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        read_award_token(write_board_token(text) or "x")


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 2), timezones=st.just(UTC)),  # noqa: DTZ001  # hypothesis wants naive bounds.
    st.integers(1, 2**31 - 1),
)
def test_token_of_a_page_of_periods_gives_end_and_number_back(ends_at: datetime, number: int) -> None:
    period = Period("season:s", PeriodKind.SEASON, ends_at, ends_at, ends_at, ends_at, "UTC", "2026f")

    assert read_period_token(write_period_token(StoredPeriod(period, number, 1))) == (ends_at, number)


def test_first_page_of_periods_has_no_token() -> None:
    assert read_period_token("") is None


@pytest.mark.parametrize(
    "text", ["", "1", "1 0", "01 1", "999999999999999999 1", "1 99999999999", "-1 1", "1 1 1"]
)
def test_any_other_token_of_periods_is_rejected(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        read_period_token(write_board_token(text) or "x")


def test_first_page_is_of_the_period_that_is_asked_for() -> None:
    assert unpin_page_token("", DAY) == ("", DAY)


@pytest.mark.parametrize(
    "choice", [DAY, MONDAY, PeriodChoice(PeriodKind.DAY, is_previous=True)], ids=["day", "by id", "previous"]
)
def test_next_page_is_of_the_same_period_whatever_is_current_by_then(choice: PeriodChoice) -> None:
    assert unpin_page_token(pin_page_token(TOKEN, "day:2026-11-30"), choice) == (TOKEN, MONDAY)


def test_last_page_has_no_token_in_a_period_either() -> None:
    assert pin_page_token("", "day:2026-11-30") == ""


@pytest.mark.parametrize(
    ("token", "choice"),
    [
        (TOKEN, DAY),
        ("x", DAY),
        (pin_page_token(TOKEN, "day:2026-11-30"), WEEK),
        (pin_page_token(TOKEN, "day:2026-11-29"), MONDAY),
        (pin_page_token(TOKEN, "day"), DAY),
        (f"{TOKEN}.day:2026-11-30", DAY),
        (f"{pin_page_token(TOKEN, 'day:2026-11-30')}=", DAY),
        (f"{TOKEN}.\ud800", DAY),
    ],
)
def test_token_of_another_period_or_of_all_time_is_rejected(token: str, choice: PeriodChoice) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        unpin_page_token(token, choice)

    assert list(caught.value.fields) == ["page_token"]


def test_token_of_a_period_is_rejected_for_all_time() -> None:
    with pytest.raises(InvalidRequestError):
        read_page_token(pin_page_token(TOKEN, "day:2026-11-30"))
