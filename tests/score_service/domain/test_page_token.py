"""Tokens of pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from score_service.domain.award import MAX_TOTAL
from score_service.domain.page_token import PageEnd, read_page_token, write_page_token
from score_service.domain.standing import Standing
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
