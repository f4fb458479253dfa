"""The schedules of batches: what the settings of a board, as far as this process knows them, make of time.

The ledger rejects a schedule of other settings than the board has. So what is known may be old, and of a
board nothing is asked before a schedule was rejected: those without periods cost nothing.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from score_service.domain.board.board_settings import BoardSettings
from score_service.domain.board.period import NO_SCHEDULE, Schedule
from score_service.domain.ledger.award import Award
from score_service.periods.schedules import make_schedule
from score_service.periods.settings_json import read_settings
from score_service.record.ledger import StaleSchedule
from score_service.record.periods import PeriodStore

_BOARDS_MAX: Final = 10_000
"""Boards whose settings are known. Those that got no award for the longest are forgotten."""
_MARGIN: Final = timedelta(minutes=30)
"""How long before its end a schedule is made anew: half of what a clock may be off by."""


@dataclass(slots=True)
class _Board:
    settings_revision: int
    settings: BoardSettings
    ahead: timedelta
    """How far the ledger's clock was ahead of ours."""
    schedule: Schedule | None = None
    """The newest one for awards that do not say when they happened."""

    def find_schedule(self, now: datetime) -> Schedule | None:
        """Return the newest schedule, if it is good for a while yet."""
        if self.schedule is None:
            return None
        since, until = self.schedule.valid_from + _MARGIN, self.schedule.valid_until - _MARGIN
        return self.schedule if since <= now + self.ahead < until else None

    def schedule_at(self, now: datetime, occurred: Iterable[datetime]) -> Schedule:
        return make_schedule(self.settings_revision, self.settings, now + self.ahead, occurred)


class Scheduler:
    """Makes the schedules of all boards."""

    def __init__(self, periods: PeriodStore, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Take where settings are found, and the time of day."""
        self._periods = periods
        self._now = now
        self._boards: OrderedDict[str, _Board] = OrderedDict()

    def schedule(self, board_id: str, awards: Iterable[Award]) -> Schedule:
        """Return the schedule of a batch."""
        board = self._boards.get(board_id)
        if board is None:
            return NO_SCHEDULE
        self._boards.move_to_end(board_id)
        now = self._now()
        if occurred := [award.occurred_at for award in awards if award.occurred_at]:
            return board.schedule_at(now, occurred)
        board.schedule = board.find_schedule(now) or board.schedule_at(now, ())
        return board.schedule

    async def learn(self, board_id: str, stale: StaleSchedule) -> None:
        """Take in why a schedule was rejected, and read the settings of the board if they are others.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        known = self._boards.get(board_id)
        if known and known.settings_revision == stale.settings_revision:
            known.ahead = stale.ledger_time - self._now()
            return
        stored = await self._periods.find_settings(board_id)
        if stored is None:
            self._boards.pop(board_id, None)
            return
        self._boards[board_id] = _Board(stored.revision, read_settings(json.loads(stored.text)), timedelta())
        if len(self._boards) > _BOARDS_MAX:
            self._boards.popitem(last=False)
