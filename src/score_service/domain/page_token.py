"""Where a page of a board ended, as the opaque text that clients carry. Pure.

Both stores read and write the same tokens, so that a client may page on through an outage of one of them.
"""

import base64
import re
from dataclasses import dataclass
from typing import Final

from score_service.domain.standing import Standing
from score_service.errors import InvalidRequestError

_PAGE_END: Final = re.compile(r"(0|[1-9][0-9]{0,15}) (0|[1-9][0-9]{0,15}) ([A-Za-z0-9._:@-]{1,128})")


@dataclass(frozen=True, slots=True)
class PageEnd:
    """The last standing of a page; the next page has those below it."""

    total: int
    reached_revision: int
    user_id: str


def write_page_token(last: Standing) -> str:
    """Make the token of the page after a standing."""
    return _encode(f"{last.total} {last.reached_revision} {last.user_id}")


def read_page_token(token: str) -> PageEnd | None:
    """Read where the page before ended; None for the first page, whose token is empty.

    Raises:
        InvalidRequestError: the token is none that was given here.
    """
    if not token:
        return None
    try:
        text = base64.b64decode(f"{token}==", altchars=b"-_").decode("ascii")
    except ValueError:
        text = ""
    match = _PAGE_END.fullmatch(text)
    if match is None or _encode(text) != token:
        raise InvalidRequestError({"page_token": "not a token that was given here"})
    return PageEnd(int(match[1]), int(match[2]), match[3])


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
