"""Standings and what reads of a board answer with. Pure."""

import enum
from dataclasses import dataclass

from score_service.domain.board.period import PeriodView
from score_service.domain.ledger.position import Position


class Source(enum.Enum):
    """Which store answered a read."""

    CACHE = "cache"
    RECORD = "record"


@dataclass(frozen=True, slots=True)
class Standing:
    """One user's place on one board."""

    user_id: str
    total: int
    rank: int | None
    """1 for the best; of equal totals the one reached earlier ranks higher. None where not known."""
    reached_revision: int
    """The revision at which the user reached the total."""
    hidden: bool = False
    """Whether nobody but the user may be shown it. The rank is None then, or what it would be."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a store read at one position."""

    position: Position
    source: Source
    top: tuple[Standing, ...] = ()
    """A run of neighbours, best first."""
    users: tuple[Standing, ...] = ()
    """The users asked for by name that the board has, in the order asked."""
    next_page_token: str = ""
    entrants: int | None = None
    """How many users have points in the period that was read; None for all time, and where not known."""


@dataclass(frozen=True, slots=True)
class BoardView:
    """Standings of a board, all of them at one position."""

    standings: tuple[Standing, ...]
    position: Position
    source: Source
    next_page_token: str = ""
    """Where the next page starts; empty where there is none."""
    period: PeriodView | None = None
    """The period that is shown; None for all time."""
