"""Where a page of a board ended, as the opaque text that clients carry. Pure.

All stores read and write the same tokens, so that a client may page on through an outage of one of them, and
over the end of a period: a token for a period names it.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from score_service.domain.board.identifier import is_identifier
from score_service.domain.board.period import (
    PeriodChoice,
    StoredPeriod,
    from_micros,
    parse_period_choice,
    to_micros,
)
from score_service.domain.standings.standing import Standing
from score_service.domain.tokens.opaque_text import read_opaque, write_opaque
from score_service.errors import InvalidRequestError

_PIN: Final = "."
"""Between the token that a store gave and the period that it is for; in neither of both."""
_LAST_MICROSECOND: Final = to_micros(datetime.max.replace(tzinfo=UTC))
_PERIOD_END: Final = re.compile(r"(0|[1-9][0-9]{0,17}) ([1-9][0-9]{0,9})")
_REVISION: Final = re.compile(r"[1-9][0-9]{0,17}")
_PAGE_END: Final = re.compile(r"(0|[1-9][0-9]{0,15}) (0|[1-9][0-9]{0,15}) ([A-Za-z0-9._:@-]{1,128})")


@dataclass(frozen=True, slots=True)
class PageEnd:
    """The last standing of a page; the next page has those below it."""

    total: int
    reached_revision: int
    user_id: str


def write_page_token(last: Standing) -> str:
    """Make the token of the page after a standing."""
    return write_opaque(f"{last.total} {last.reached_revision} {last.user_id}")


def read_page_token(token: str) -> PageEnd | None:
    """Read where the page before ended; None for the first page, whose token is empty.

    Raises:
        InvalidRequestError: the token is none that was given here.
    """
    if not token:
        return None
    match = _PAGE_END.fullmatch(read_opaque(token))
    if match is None:
        raise InvalidRequestError({"page_token": "not a token that was given here"})
    return PageEnd(int(match[1]), int(match[2]), match[3])


def pin_page_token(token: str, period_id: str) -> str:
    """Make the token for a period of one that a store gave; empty where that is."""
    return token and f"{token}{_PIN}{write_opaque(period_id)}"


def unpin_page_token(token: str, choice: PeriodChoice) -> tuple[str, PeriodChoice]:
    """Return the token for the stores, and the period that the page before was of.

    Without a token that is the choice itself. The period may have ended since.

    Raises:
        InvalidRequestError: the token was not given here for what is chosen.
    """
    if not token:
        return "", choice
    inner, _, name = token.partition(_PIN)
    pinned = parse_period_choice(read_opaque(name))
    if pinned is None or not pinned.period_id or pinned.kind is not choice.kind:
        raise InvalidRequestError({"page_token": "not a token that was given here for this kind of period"})
    if choice.period_id not in ("", pinned.period_id):
        raise InvalidRequestError({"page_token": "a token of another period"})
    return inner, pinned


def write_board_token(board_id: str) -> str:
    """Make the token of the page of boards after one."""
    return write_opaque(board_id)


def read_board_token(token: str) -> str:
    """Read which board was the last of the page before; empty for the first page, whose token is empty.

    Raises:
        InvalidRequestError: the token is none that was given here.
    """
    board_id = read_opaque(token)
    if token and not is_identifier(board_id):
        raise InvalidRequestError({"page_token": "not a token that was given here"})
    return board_id


def write_period_token(last: StoredPeriod) -> str:
    """Make the token of the page of periods after one."""
    return write_opaque(f"{to_micros(last.period.ends_at)} {last.number}")


def read_period_token(token: str) -> tuple[datetime, int] | None:
    """Read the end and the number of the last period of the page before; None for the first page.

    Raises:
        InvalidRequestError: the token is none that was given here.
    """
    if not token:
        return None
    match = _PERIOD_END.fullmatch(read_opaque(token))
    if match is None or int(match[1]) > _LAST_MICROSECOND:
        raise InvalidRequestError({"page_token": "not a token that was given here"})
    return from_micros(int(match[1])), int(match[2])


def write_award_token(last_revision: int) -> str:
    """Make the token of the page of awards before one."""
    return write_opaque(str(last_revision))


def read_award_token(token: str) -> int | None:
    """Read the revision of the last award of the page before; None for the first page, whose token is empty.

    Raises:
        InvalidRequestError: the token is none that was given here.
    """
    if not token:
        return None
    revision = read_opaque(token)
    if not _REVISION.fullmatch(revision):
        raise InvalidRequestError({"page_token": "not a token that was given here"})
    return int(revision)
