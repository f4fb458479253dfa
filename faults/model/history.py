"""What was asked and seen during a run, as plain values, in the order in which it ended.

One process writes all of it, so that one clock orders it: times are seconds of `time.monotonic()`. Nothing
here is judged; the checker does that, from these values alone. What an observer could not know is None.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeAlias


class Outcome(StrEnum):
    """What the one who asked knows of an award after the call."""

    MADE = "made"
    """It was answered as made, now or earlier."""
    ARCHIVED = "archived"
    """It was answered that it was made long ago, and no more: its award is archived."""
    REJECTED = "rejected"
    """It was answered that this call makes nothing, now or later."""
    UNKNOWN = "unknown"
    """Anything else: no answer in time, a fault, a connection lost."""


class Asked(NamedTuple):
    """An award as it was asked for."""

    board_id: str
    award_id: str
    """Lower case, with hyphens."""
    user_id: str
    points: int
    action_type: str
    action_id: str
    request_id: str | None = None
    """None where the gateway made it."""
    occurred_at: int | None = None
    """Microseconds since 1970; None where nothing was said of it."""


class Result(NamedTuple):
    """What an answer says of an award that was made."""

    points: int
    total: int
    rank: int | None = None
    """None where it was not answered."""
    revision: int | None = None
    """None where the gateway does not tell it; the same goes for what follows."""
    position: str | None = None
    replayed: bool | None = None
    reversed: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AwardCall:
    """One logical call, with all tries inside of it."""

    caller: str
    asked: Asked
    began: float
    ended: float
    outcome: Outcome
    result: Result | None = None
    """Set where the outcome is MADE."""
    revision: int | None = None
    """Set where it is ARCHIVED and the answer has it: that of the award."""
    reason: str = ""
    """Set where it is not MADE: the stable word of the error."""
    expired_for: float | None = None
    """For how many seconds all certificates that the caller had until the answer had expired when the call
    began. None where one was valid, and of callers that have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption(AwardCall):
    """One request with a ticket. What it asks for is what the ticket says.

    Of its result, `replayed` tells whether the ticket was answered as used. It is one try: where the outcome
    is REJECTED, another one may make the award.
    """

    shown_at: float
    """When it was sent, by the wall clock: seconds since 1970."""
    issued_at: int
    """As the ticket says, seconds since 1970."""
    expires_at: int
    """The same."""
    is_genuine: bool
    """Whether the ticket is as a gateway gave it, or as an outside issuer may give it."""
    has_result: bool
    """Whether it came with the result that the ticket was given for."""

    @property
    def answered_at(self) -> float:
        """When its answer came, by the wall clock."""
        return self.shown_at + self.ended - self.began


class Undone(NamedTuple):
    """What an answer says of a reversal."""

    award_id: str
    reversal_id: str
    user_id: str
    points: int
    total: int
    revision: int
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalCall:
    """A call to take an award back, with all tries inside of it."""

    caller: str
    board_id: str
    award_id: str
    reversal_id: str
    began: float
    ended: float
    outcome: Outcome
    undone: Undone | None = None
    """Set where the outcome is MADE; where an award was taken back by another reversal, that one."""
    reason: str = ""
    """Set where it is not MADE: the stable word of the error."""


class Chosen(NamedTuple):
    """A filter of awards, and the last revision that it looks at."""

    user_id: str
    action_id: str
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCall:
    """The call that takes back what a plan chose, with all its steps."""

    caller: str
    board_id: str
    chosen: Chosen
    awards: int
    """How many the plan has."""
    reversals: int
    """How many of them are answered to be taken back."""
    note: str
    """The reason that is given, which no other plan has."""
    began: float
    ended: float
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibilityCall:
    """A call to say who may see a user, with all tries inside of it."""

    caller: str
    board_id: str
    user_id: str
    visibility: str
    began: float
    ended: float
    outcome: Outcome
    revision: int | None = None
    """Of the entry that says so, where the outcome is MADE; 0 where none does."""
    position: str | None = None
    """Where the board stood then."""
    reason: str = ""


class Row(NamedTuple):
    """A line of a board as an observer was shown it."""

    user_id: str
    total: int
    rank: int | None
    reached_revision: int | None = None
    hidden: bool | None = None
    """Whether the observer is told that nobody but the user may see it; None where that is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One read of a board that was answered."""

    reader: str
    board_id: str
    began: float
    ended: float
    revision: int
    position: str
    source: str
    """`cache` or `record`."""
    top: tuple[Row, ...] | None = None
    """The first page, where that was asked for."""
    page_size: int = 0
    """How much of the top was asked for."""
    users: tuple[str, ...] = ()
    """The single users whose standings were asked for."""
    rows: tuple[Row, ...] = ()
    """Their standings; a user without an award is left out."""
    min_revision: int | None = None
    period: str = ""
    """The id of the period that was shown; empty for all time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a stream.

    A stream is one observer, which reconnects after its connection was lost: `connection` counts from 0 how
    often that has happened, as far as it can be known.
    """

    stream: str
    """Its name, as `watch-1`, `socket-3`, `events-2`: the kind comes first."""
    connection: int
    board_id: str
    at: float
    event: str
    """`snapshot`, `update` or `checkpoint`; of sockets and event streams the name on the wire."""
    revision: int
    position: str | None = None
    top: tuple[Row, ...] | None = None
    """The whole top, where the message carries it."""
    scores: tuple[Row, ...] = ()
    """Newest standings of single users; of a socket that of its user."""
    reset: bool = False
    after: str | None = None
    """Of the first snapshot of a watch that came back: where it asked to go on."""
    top_n: int = 10
    all_scores: bool = False
    user_ids: tuple[str, ...] = ()
    """The users whose scores were asked for besides."""
    user_id: str | None = None
    """Whose socket or event stream it is."""
    period: str = ""
    """The id of the period that a snapshot is of; empty for all time, and for other messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """An entry that a reader of the feed got. A reader goes on where it was, across all its streams."""

    reader: str
    board_id: str
    at: float
    revision: int
    position: str
    kind: str
    subject: str
    """The id of the award or of the reversal, the period, or the user and who may see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLost:
    """A reader of the feed was told that its position is not of the ledger. It begins anew."""

    reader: str
    board_id: str
    at: float
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedArchived:
    """A reader of the feed was told that what it asked for is archived. It goes on where it was told to."""

    reader: str
    board_id: str
    at: float
    after: str
    """The position after which it had asked for entries; empty for all of them."""
    position: str
    """The one after which it goes on."""

    @property
    def revision(self) -> int:
        """That of the position."""
        return int(self.position.partition("-")[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedBegun:
    """A reader of the feed begins anew by itself."""

    reader: str
    board_id: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A connection of a stream that ended."""

    stream: str
    connection: int
    at: float
    reason: str
    """The WebSocket close code, the status of the call, or the class of the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault, from its injection until it was healed."""

    name: str
    target: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """PostgreSQL was put back to a copy, or its standby took over. Its former state is kept, to be read."""

    began: float
    """Before the server was stopped, or the standby took over."""
    ended: float
    """After the server accepted connections again, and no service reached the former state any more."""
    former: str
    """The folder with the former state."""
    copied: float = -math.inf
    """When the copy was begun: it has what was answered as made before. Infinite for a standby, which has
    whatever was ever answered as made."""


Event: TypeAlias = (
    AwardCall
    | ReversalCall
    | PlanCall
    | VisibilityCall
    | Read
    | Message
    | Fed
    | FeedLost
    | FeedArchived
    | FeedBegun
    | Closed
    | Fault
    | Restore
)


@dataclass(slots=True)
class History:
    """All that happened."""

    events: list[Event] = field(default_factory=list)

    def add(self, event: Event) -> None:
        """Append what has just ended."""
        self.events.append(event)
