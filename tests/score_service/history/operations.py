"""What can happen to a board and to the two processes that serve it, as values that print as code.

`HISTORIES` draws them. Numbers are small, so that ids, users and requests meet again and again.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from score_service.domain.board.board_settings import LatePolicy
from score_service.domain.ledger.award import Award
from score_service.domain.ledger.reversal import ReversalRequest
from score_service.domain.ledger.visibility import Visibility

USERS = ("ada", "bob", "cyd", "dan", "eve")
RICH = "rich"
"""A user who has all but `ROOM` points of the greatest total from the start, where the history says so."""
ROOM = 5
POISON = "no such user"
"""An id that the record rejects, and the edge would have rejected before."""

REASON = 'The answer to "24" got out, by the hundred\n'
"""Of every correction."""
BEHALF = "support"


class Ask(NamedTuple):
    """An award that is asked for, in few numbers: the id, and what decides payload and request."""

    number: int
    variant: int = 0
    """Another payload under the same id, unless 0."""
    request: int = 0
    hours_ago: int = 0
    """When it happened; 0 if it does not say so."""

    def award(self, board_id: str, now: dt.datetime | None = None) -> Award:
        """Put it as the edge would hand it over, at some time."""
        kind = (self.number + self.variant) % 8
        return Award(
            board_id=board_id,
            award_id=str(uuid.UUID(int=self.number + 1)),
            user_id=USERS[kind] if kind < len(USERS) else POISON if kind == 7 else RICH,
            points=1 + self.number % 3,
            action_type="puzzle",
            action_id=f"puzzle_{self.variant}",
            request_id=str(uuid.UUID(int=self.request + 1000)),
            caller="spiffe://test.local/backend",
            trace_id="",
            occurred_at=now - dt.timedelta(hours=self.hours_ago) if now and self.hours_ago else None,
        )


class Undo(NamedTuple):
    """An award that is to be taken back, in few numbers: that of the award, and that of the reversal."""

    number: int
    reversal: int = 0
    """One that may take several awards back, unless 0."""

    @property
    def ids(self) -> tuple[str, str]:
        """Those of the award and of the reversal."""
        reversal = 3000 + self.reversal if self.reversal else 2000 + self.number
        return str(uuid.UUID(int=self.number + 1)), str(uuid.UUID(int=reversal))

    @property
    def request(self) -> ReversalRequest:
        """Put it as the edge would hand it over."""
        return ReversalRequest(*self.ids, REASON, BEHALF)


By: TypeAlias = Literal[0, 1]
"""One of the two processes."""
Key: TypeAlias = Literal["header", "ranks", "totals"]
Then: TypeAlias = Literal["goes on", "is cancelled", "dies"]


@dataclass(frozen=True)
class Call:
    """Someone asks for awards, and may not wait for the answer."""

    by: By
    asks: tuple[Ask, ...]
    leaves: bool = False


@dataclass(frozen=True)
class Reverse:
    """Someone takes an award back, or several in one page, and may not wait for the answer."""

    by: By
    undos: tuple[Undo, ...]
    leaves: bool = False


@dataclass(frozen=True)
class Show:
    """Someone says who may see a user."""

    by: By
    user_id: str
    visibility: Visibility


@dataclass(frozen=True)
class Read:
    """Someone reads the board in every way, at least as new as the ledger was where `fresh`."""

    by: By
    user_id: str
    fresh: bool = False


@dataclass(frozen=True)
class Look:
    """The projector looks at all boards and repairs what it finds. Without this it is paused."""

    by: By


@dataclass(frozen=True)
class Rebuild:
    """An operator or the auditor has the board rebuilt."""

    by: By


@dataclass(frozen=True)
class Close:
    """A process makes final what is due, and removes what is left of it."""

    by: By


@dataclass(frozen=True)
class Pass:
    """Time passes."""

    minutes: int


@dataclass(frozen=True)
class Wipe:
    """Redis loses everything."""


@dataclass(frozen=True)
class Evict:
    """Redis loses one kind of key."""

    key: Key


@dataclass(frozen=True)
class Save:
    """A replica of Redis stops here."""


@dataclass(frozen=True)
class RollBack:
    """Redis fails over to the replica that was left behind last; without one, to an empty one."""


@dataclass(frozen=True)
class Restore:
    """PostgreSQL is restored to what it was some commits ago."""

    commits: int


@dataclass(frozen=True)
class Cut:
    """An operator archives all awards that may be."""


@dataclass(frozen=True)
class Kill:
    """A process is killed, and started again."""

    by: By


@dataclass(frozen=True)
class Depart:
    """A watcher leaves."""


@dataclass(frozen=True)
class Return:
    """A watcher reconnects to one of the processes, with the position it had."""

    by: By


Work: TypeAlias = Call | Reverse | Show | Read | Look | Rebuild | Close
Event: TypeAlias = Pass | Wipe | Evict | Save | RollBack | Restore | Cut | Kill | Depart | Return


@dataclass(frozen=True)
class Together:
    """Works at the same time."""

    works: tuple[Work, ...]


@dataclass(frozen=True)
class Apart:
    """A work, while its process does not reach Redis."""

    work: Work


@dataclass(frozen=True)
class Interrupted:
    """A work pauses before one of its steps towards the stores, and much else happens meanwhile."""

    work: Work
    step: int
    meanwhile: tuple[Work | Event, ...]
    then: Then = "goes on"


Operation: TypeAlias = Work | Event | Together | Apart | Interrupted


@dataclass(frozen=True)
class History:
    """Operations one after the other, on a board where somebody may be very rich from the start."""

    operations: Sequence[Operation]
    has_rich: bool = False
    late: LatePolicy | None = None
    """What becomes of late awards, where the board has periods."""


def _calls(by: SearchStrategy[By]) -> SearchStrategy[Call]:
    asks = st.builds(
        Ask,
        number=st.integers(0, 30),
        variant=st.sampled_from([0, 0, 0, 0, 0, 1]),
        request=st.integers(0, 1),
        hours_ago=st.sampled_from([0, 0, 0, 1, 25]),
    )
    return st.builds(
        Call, by, st.lists(asks, min_size=1, max_size=4).map(tuple), st.sampled_from([False, False, True])
    )


def _works(by: SearchStrategy[By]) -> SearchStrategy[Work]:
    calls = _calls(by)
    reads = st.builds(Read, by, st.sampled_from(USERS), st.booleans())
    corrections = st.one_of(_reversals(by), st.builds(Show, by, st.sampled_from(USERS), _VISIBILITIES))
    others = st.one_of(st.builds(Look, by), st.builds(Rebuild, by), reads, st.builds(Close, by))
    return st.one_of(calls, calls, corrections, others)


_VISIBILITIES: SearchStrategy[Visibility] = st.sampled_from([*Visibility, Visibility.VISIBLE])


def _reversals(by: SearchStrategy[By]) -> SearchStrategy[Reverse]:
    """A page has each award and each reversal once."""
    undos = st.builds(Undo, st.integers(0, 30), st.sampled_from([0, 0, 0, 1, 2]))
    pages = st.lists(
        undos, min_size=1, max_size=3, unique_by=(lambda undo: undo.ids[0], lambda undo: undo.ids[1])
    )
    return st.builds(Reverse, by, pages.map(tuple), st.sampled_from([False, False, True]))


_BY: SearchStrategy[By] = st.sampled_from([0, 1])
_EVENTS: SearchStrategy[Event] = st.one_of(
    st.builds(Pass, st.sampled_from([5, 60, 12 * 60, 24 * 60, 6 * 24 * 60])),
    st.builds(Wipe),
    st.builds(Evict, st.sampled_from(["header", "ranks", "totals"])),
    st.builds(Save),
    st.builds(RollBack),
    st.builds(Restore, st.integers(1, 4)),
    st.builds(Cut),
    st.builds(Kill, _BY),
    st.builds(Depart),
    st.builds(Return, _BY),
)


def _interrupted(work: Work) -> SearchStrategy[Interrupted]:
    """Nobody ever cancels a batch or a correction on its way, so what works on one is killed or goes on."""
    others: SearchStrategy[By] = st.just(0 if work.by else 1)
    meanwhile = st.lists(st.one_of(_works(others), _EVENTS), min_size=1, max_size=3)
    is_batch = isinstance(work, Call | Reverse | Show)
    thens: list[Then] = ["goes on", "dies"] if is_batch else ["goes on", "is cancelled", "dies"]
    return st.builds(
        Interrupted, st.just(work), st.integers(0, 15), meanwhile.map(tuple), st.sampled_from(thens)
    )


_WORKS = _works(_BY)
_OPERATIONS: SearchStrategy[Operation] = st.one_of(
    _WORKS,
    _EVENTS,
    st.builds(Together, st.lists(_WORKS, min_size=2, max_size=4).map(tuple)),
    st.builds(Apart, _WORKS),
    _WORKS.flatmap(_interrupted),
)
HISTORIES: SearchStrategy[History] = st.builds(
    History,
    st.lists(_OPERATIONS, min_size=1, max_size=12).map(tuple),
    st.booleans(),
    st.sampled_from([None, *LatePolicy, LatePolicy.CURRENT]),
)
