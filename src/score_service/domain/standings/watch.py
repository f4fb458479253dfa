"""What a watcher asks for and is sent. Pure.

Every message holds at one position. A watcher that applies them in order stands where the ledger
stands, whatever was left out between two messages.
"""

from dataclasses import dataclass
from typing import TypeAlias

from score_service.domain.board.period import PeriodChoice, PeriodView
from score_service.domain.ledger.position import Position
from score_service.domain.standings.standing import Source, Standing

MAX_TOP = 100
MAX_USERS = 1000


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """What a watcher wants to see of a board. Every field is already checked."""

    board_id: str
    top_n: int
    """1 to `MAX_TOP`."""
    after: Position | None = None
    """The last position the watcher saw."""
    all_scores: bool = False
    user_ids: frozenset[str] = frozenset()
    """At most `MAX_USERS`."""
    choice: PeriodChoice | None = None
    """Which period to watch; None for all time."""

    @property
    def wants_scores(self) -> bool:
        """Whether the watcher wants any score changes."""
        return self.all_scores or bool(self.user_ids)

    def wants(self, user_id: str) -> bool:
        """Return whether the watcher wants this user's score changes."""
        return self.all_scores or user_id in self.user_ids


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole top. With `reset`, or of another period, the watcher must forget what it has."""

    top: tuple[Standing, ...]
    reset: bool
    period: PeriodView | None = None
    """The period that is shown; None for all time."""


@dataclass(frozen=True, slots=True)
class Update:
    """What changed: the whole top if any of it did (else None), and the newest standings of users."""

    top: tuple[Standing, ...] | None
    scores: tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Nothing the watcher asked for has changed."""


Body: TypeAlias = Snapshot | Update | Checkpoint


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class WatchMessage:
    """One message, of one watch or of many. It equals itself alone, to find again what was made of it."""

    body: Body
    position: Position
    source: Source
