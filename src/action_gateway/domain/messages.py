"""The messages that WebSockets and event streams carry, as JSON. Pure.

`{"event": name, "revision": number, "data": {…}}`: all of a message holds at its revision, and everything
was sent to the client before is included in it.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from action_gateway.domain.entries import Entry, changed_ranks
from action_gateway.domain.periods import ShownPeriod
from score_client.types import Standing

INITIAL = "leaderboard:initial"
PERIOD = "leaderboard:period"
UPDATE = "leaderboard:update"
SCORE = "score:update"


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its name, and the whole of it as JSON text."""

    event: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Top:
    """The first rows of the leaderboard. Compared by identity: so one text is made once for all sockets."""

    entries: tuple[Entry, ...] = ()


def make_initial(top: Top, me: Standing, revision: int, period: ShownPeriod | None) -> Message:
    """Make the message with the leaderboard and the standing of the user in a period; None is all time."""
    data = {
        "leaderboard": _rows(top),
        "me": {"rank": me.rank, "score": me.total},
        "period": _period(period),
    }
    return _message(INITIAL, revision, data)


@lru_cache(maxsize=64)
def make_period(period: ShownPeriod | None, revision: int) -> Message:
    """Make the message that another period is shown from here on. The first message comes again after it."""
    return _message(PERIOD, revision, {"period": _period(period)})


@lru_cache(maxsize=256)
def find_changes(before: Top, top: Top) -> tuple[int, ...]:
    """Return the places whose rows differ. What many sockets were sent is compared once for all of them."""
    return changed_ranks(before.entries, top.entries)


@lru_cache(maxsize=256)
def make_update(before: Top, top: Top, revision: int) -> Message:
    """Make the message with the changed leaderboard for a client that was sent another one before."""
    changes = find_changes(before, top)
    return _message(UPDATE, revision, {"leaderboard": _rows(top), "changedRanks": changes})


def make_score(standing: Standing, revision: int) -> Message:
    """Make the message with the new score of a user."""
    data = {"userId": standing.user_id, "newScore": standing.total, "newRank": standing.rank}
    return _message(SCORE, revision, data)


def _period(period: ShownPeriod | None) -> dict[str, Any] | None:
    return None if period is None else period.model_dump(mode="json", by_alias=True)


def _rows(top: Top) -> list[dict[str, Any]]:
    return [entry.model_dump(by_alias=True) for entry in top.entries]


def _message(event: str, revision: int, data: dict[str, Any]) -> Message:
    whole = {"event": event, "revision": revision, "data": data}
    return Message(event, json.dumps(whole, ensure_ascii=False, separators=(",", ":")))
