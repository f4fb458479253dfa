"""Actions and the rules of paying them. Pure."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

_AWARD_NAMESPACE: Final = uuid.UUID("6c617572-656c-5e8d-9b1c-61776172640a")
_REQUEST_NAMESPACE: Final = uuid.UUID("6c617572-656c-5e8d-9b1c-72657175650a")


ActionId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:@-]+$")]
"""Also the form of a board's id, as the contract has it."""


class Kind(StrEnum):
    """What a user does to complete an action."""

    PUZZLE = "puzzle"
    """Answer a question."""
    INSTANT = "instant"
    """Nothing more: it is done when it is asked for, and pays by a ticket."""


class Repeat(StrEnum):
    """How often an action pays a user."""

    ONCE = "once"
    DAILY = "daily"
    """Once a day of the board, by the day of the start. A board without days has those of UTC."""
    UNLIMITED = "unlimited"


@dataclass(frozen=True, slots=True)
class StartedAction:
    """What an action token says. Whatever becomes of the action later, this holds for this token."""

    user_id: str
    action_id: str
    version: int
    """The edition of the action, whose answers count."""
    board_id: str
    points: int
    repeat: Repeat
    min_ms: int
    nonce: uuid.UUID
    started_at_ms: int
    expires_at: int
    """Seconds since 1970."""
    day: str = ""
    """Of a daily action, the date of the board's day at its start, such as `2026-11-30`; empty for UTC's.

    It is part of the award's name. So it is found once, and stays whatever becomes of the board's settings.
    """


def find_award_id(started: StartedAction) -> uuid.UUID:
    """Name the award that doing the action makes. The same name can pay only once."""
    if started.repeat is Repeat.UNLIMITED:
        return started.nonce
    parts = [started.board_id, started.user_id, started.action_id]
    if started.repeat is Repeat.DAILY:
        parts.append(started.day or _find_utc_day(started))
    return uuid.uuid5(_AWARD_NAMESPACE, join_parts(parts))


def find_request_id(user_id: str, idempotency_key: str, action_token: str, answer: str) -> uuid.UUID:
    """Name a request that its sender may repeat: the same sender, key and body give the same name."""
    return uuid.uuid5(_REQUEST_NAMESPACE, join_parts((user_id, idempotency_key, action_token, answer)))


def _find_utc_day(started: StartedAction) -> str:
    return datetime.fromtimestamp(started.started_at_ms / 1000, UTC).date().isoformat()


def join_parts(parts: Iterable[str]) -> str:
    """Join texts to one. Lengths come first, so that no two lists of parts read the same."""
    return "".join(f"{len(part)}:{part}" for part in parts)
