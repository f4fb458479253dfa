"""What the service answers, as plain immutable values.

A revision counts the awards of a board, and a position is a revision together with the history it
belongs to. Positions are opaque: keep them, compare them for equality, hand them back. A rank is 1 for
the best, and None where it is not known.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Source(StrEnum):
    """Which store answered a read."""

    CACHE = "cache"
    """The projection in Redis: fast, and possibly a little behind."""
    RECORD = "record"
    """The record in PostgreSQL, because the projection was unavailable or too old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwardResult:
    """What an award did when it was first made.

    Attributes:
        award_id: The award.
        revision: The award's number in the board's ledger.
        position: The position of the commit that holds the award.
        points: The points given.
        total: The user's total right after this award.
        rank: The user's current rank.
        replayed: True if another request made this award before.
    """

    award_id: UUID
    revision: int
    position: str
    points: int
    total: int
    rank: int | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One user's place on one board.

    Attributes:
        user_id: The user.
        total: The sum of the user's awards, 0 to 2^53-1.
        rank: 1 for the best. Of equal totals, the one reached earlier is better.
        reached_revision: The revision at which the user reached this total.
    """

    user_id: str
    total: int
    rank: int | None
    reached_revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingView:
    """One user's standing, with the revision and position it holds at."""

    standing: Standing
    revision: int
    position: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingsView:
    """Several standings, with the revision and position they hold at.

    Attributes:
        standings: Best first, or in the order of the users asked for.
        revision: The revision of the board.
        position: The position of the board.
        source: Which store answered.
        next_page_token: Where the next page starts; empty on the last page and where there are no pages.
    """

    standings: tuple[Standing, ...]
    revision: int
    position: str
    source: Source
    next_page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole top of a board: the first event of a watch, and the first after each reconnect.

    Attributes:
        top: The top, best first.
        reset: True if the position to resume from is of another history or too far back: forget every
            score you have, and start from here.
        revision: The revision of the board.
        position: The position of the board. When a watch was resumed, the scores up to it follow in the
            next update: until then, the older position is the one to resume from.
        source: Which store answered.
    """

    top: tuple[Standing, ...]
    reset: bool
    revision: int
    position: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What changed since the event before.

    Attributes:
        top: The whole top, best first, or None if none of it changed.
        scores: The newest standing of each user whose total changed, of the users asked for.
        revision: The revision of the board.
        position: The position of the board.
        source: Which store answered.
    """

    top: tuple[Standing, ...] | None
    scores: tuple[Standing, ...]
    revision: int
    position: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A sign of life: nothing that was asked for has changed up to this position."""

    revision: int
    position: str
    source: Source


WatchEvent = Snapshot | Update | Checkpoint
