"""The caller of the call at hand: what the policy grants it, and what the call says of itself.

The dispatcher sets it around each handler, so that servicers need no second look at certificates.
"""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final, NamedTuple

from score_service.access.policy import Grant
from score_service.errors import NotAllowedError

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


class Caller(NamedTuple):
    """A caller that the policy admits. A tuple, because each call makes one: twice as fast."""

    grant: Grant
    trace_id: str
    """32 hex digits, or empty."""


CALLER: Final[ContextVar[Caller]] = ContextVar("caller")


def require_board(board_id: str) -> None:
    """Raise NotAllowedError unless the caller may do something on a board."""
    if not CALLER.get().grant.allows_board(board_id):
        raise NotAllowedError


def read_request_id(metadata: Mapping[str, str | bytes]) -> str:
    """Return the call's `x-request-id`; empty if there is none that may stand in a log line."""
    value = metadata.get("x-request-id")
    return value if isinstance(value, str) and _REQUEST_ID.fullmatch(value) else ""


def read_trace_id(metadata: Mapping[str, str | bytes]) -> str:
    """Return the trace id of the call's W3C `traceparent`; empty if there is none well formed."""
    value = metadata.get("traceparent")
    match = _TRACEPARENT.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else ""
