"""Finds the period that a reader asks for, and what its answer says of it.

The current period of a kind is worked out by the clock and the settings of the board, so it is there at once
when it begins, before anyone has points in it. What the record has stored of a period goes first.

The record is asked for the settings and the periods of a board once a second at most. While it is
unavailable, what it said last is taken, so that current periods are read from Redis through an outage of it.
"""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from score_service.boards.standings.shared_reads import Ask, RecordReader
from score_service.domain.board.board_settings import BoardSettings
from score_service.domain.board.period import Period, PeriodChoice, PeriodView, StoredPeriod
from score_service.domain.ledger.position import Position
from score_service.errors import OverloadedError, PeriodUnknownError, RecordUnavailableError
from score_service.periods.calendar import next_start_after, period_holding, periods_between
from score_service.periods.schedules import REACH
from score_service.periods.settings_json import read_settings
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore

_Answer = TypeVar("_Answer")

_FRESH_SECONDS: Final = 1.0
"""How old what is known of a board may be."""
_PATIENCE_SECONDS: Final = 0.3
"""What a reader waits for the record, at most, where something is known of the board."""
_BOARDS_MAX: Final = 10_000
"""Boards of which something is known. Those of which the least was asked lately are forgotten."""
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class FoundPeriod:
    """The period that a reader asks for."""

    period: Period
    next_starts_at: datetime | None
    """Where the next one of its kind starts; None where none is known."""
    stored: StoredPeriod | None = None
    """What the record has of it; None where nobody has points in it, as far as is known."""

    @property
    def period_id(self) -> str:
        """The id of the period."""
        return self.period.period_id

    @property
    def is_final(self) -> bool:
        """Return whether its result is in the archive."""
        return self.stored is not None and self.stored.is_final

    @property
    def choice(self) -> PeriodChoice:
        """What asks for this period, also when another one is current."""
        return PeriodChoice(self.period.kind, self.period_id)

    def shows_the_same(self, other: "FoundPeriod") -> bool:
        """Return whether the other is the same period, in the same store."""
        return (self.period_id, self.is_final) == (other.period_id, other.is_final)

    def may_have_ended(self, position: Position, now: datetime) -> bool:
        """Return whether a store that had nobody in it at a position may have let go of its result."""
        if self.stored is not None:
            return position.revision >= self.stored.opened_revision
        return now >= self.period.final_at - REACH

    def view(self, now: datetime, entrants: int) -> PeriodView:
        """Make what an answer shows, with the number of users in it at the position of the answer."""
        state = self.period.state_at(now, is_final=self.is_final)
        return PeriodView(self.period, state, self.next_starts_at, entrants)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the record said of a board."""

    settings: BoardSettings
    recent: tuple[StoredPeriod, ...]
    """The periods that are not final, and the final one of each kind that ended last."""


class PeriodFinder:
    """The periods of all boards, for readers."""

    def __init__(
        self,
        ledger: Ledger,
        periods: PeriodStore,
        reader: RecordReader,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the time of day, and a clock that counts seconds and never steps back."""
        self._ledger = ledger
        self._periods = periods
        self._reader = reader
        self.now = now
        self._clock = clock
        self._boards: OrderedDict[str, tuple[float, _Known]] = OrderedDict()
        """What is known, with the time until which it is fresh."""

    async def find(self, board_id: str, choice: PeriodChoice, *, anew: bool = False) -> FoundPeriod:
        """Find a period.

        Args:
            board_id: the board.
            choice: which period.
            anew: whether what the record said before will not do.

        Raises:
            BoardNotFoundError: there is no such board.
            OverloadedError: too many ask the record.
            PeriodUnknownError: the board has no such period, or it has not begun.
            RecordUnavailableError: PostgreSQL was needed, and is unavailable.
        """
        known = await self._know(board_id, anew=anew)
        stored, unopened = _find_recent(known, choice, self.now()), None
        if choice.is_previous:
            stored = await self._look_up(self._periods.find_last_final, board_id, choice.kind, anew=anew)
        elif stored is None:
            unopened = _find_unopened(known, choice, self.now())
            stored = await self._find_stored(board_id, choice, unopened, anew=anew)
        period = stored.period if stored else unopened
        if period is None:
            await self._look_up(self._ledger.read_head, board_id, anew=anew)
            raise PeriodUnknownError
        return FoundPeriod(period, next_start_after(known.settings, period), stored)

    async def _find_stored(
        self, board_id: str, choice: PeriodChoice, unopened: Period | None, *, anew: bool
    ) -> StoredPeriod | None:
        """Look for a period that is not recent: it is final for long, or was opened just now."""
        if not choice.is_current:
            return await self._look_up(self._periods.find, board_id, choice.period_id, anew=anew)
        if unopened and anew:
            return await self._look_up(self._periods.find, board_id, unopened.period_id, anew=True)
        return None

    async def _know(self, board_id: str, *, anew: bool) -> _Known:
        fresh_until, known = self._boards.get(board_id, (0.0, None))
        if known and not anew and self._clock() < fresh_until:
            return known
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS if known and not anew else None):
                known = await self._ask(board_id, anew=anew)
        except (OverloadedError, RecordUnavailableError, TimeoutError):
            if known is None or anew:
                raise
        self._keep(board_id, known)
        return known

    async def _ask(self, board_id: str, *, anew: bool) -> _Known:
        stored = await self._look_up(self._periods.find_settings, board_id, anew=anew)
        settings = read_settings(json.loads(stored.text)) if stored else BoardSettings()
        recent = await self._look_up(self._periods.list_recent, board_id, anew=anew)
        return _Known(settings, tuple(recent))

    async def _look_up(self, ask: Ask[_Answer], board_id: str, *rest: Hashable, anew: bool) -> _Answer:
        return await self._reader.look_up(ask, board_id, *rest, suffices=lambda _answer: not anew)

    def _keep(self, board_id: str, known: _Known) -> None:
        self._boards[board_id] = (self._clock() + _FRESH_SECONDS, known)
        self._boards.move_to_end(board_id)
        if len(self._boards) > _BOARDS_MAX:
            self._boards.popitem(last=False)


def _find_recent(known: _Known, choice: PeriodChoice, now: datetime) -> StoredPeriod | None:
    """Find the period among those that the record was last known to have."""
    for stored in known.recent:
        if stored.period.period_id == choice.period_id:
            return stored
        if choice.is_current and stored.period.kind is choice.kind and stored.period.holds(now):
            return stored
    return None


def _find_unopened(known: _Known, choice: PeriodChoice, now: datetime) -> Period | None:
    """Find the period among those that nobody has points in yet, and somebody may get some."""
    settings = known.settings
    if not choice.period_id:
        return _follow_on(period_holding(settings, choice.kind, now), known)
    since = now - timedelta(seconds=settings.grace_seconds)
    begun = periods_between(settings, choice.kind, since, now + _MICROSECOND)
    return next((_follow(period, known) for period in begun if period.period_id == choice.period_id), None)


def _follow(period: Period, known: _Known) -> Period:
    """Have a period start where the one before it ends, as the record does when it opens one."""
    before = (stored.period for stored in known.recent if stored.period.kind is period.kind)
    ends = [other.ends_at for other in before if other.starts_at < period.starts_at]
    return replace(period, starts_at=max([period.starts_at, *ends]))


def _follow_on(period: Period | None, known: _Known) -> Period | None:
    """Go on from a period that was opened and is over already, by the rules of another zone than today's.

    The next one starts where it ended.
    """
    over = {stored.period.period_id: stored.period for stored in known.recent}
    while period is not None and period.period_id in over:
        ended = over[period.period_id]
        following = period_holding(known.settings, period.kind, period.ends_at)
        period = following and replace(following, starts_at=ended.ends_at)
    return period and _follow(period, known)
