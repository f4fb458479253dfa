"""Which periods of a board are current, as the score service says: its settings and its clock decide.

A gateway knows no time zone. It reads which period the leaderboard shows, as every caller may who may read
the leaderboard, and remembers it for a short while, but not beyond its end. A server whose clock is behind
brings no former period back.
"""

from collections import OrderedDict
from typing import Final, Protocol

from action_gateway.domain.clock import Clock
from action_gateway.domain.periods import steps_back
from action_gateway.errors import translate
from score_client.errors import BoardNotFoundError, PeriodUnknownError, ScoreClientError
from score_client.types import Period, PeriodKind, StandingsView

_KEPT_SECONDS: Final = 10.0
"""How soon a change of the board's settings is known."""
_OVERDUE_SECONDS: Final = 0.25
"""How soon the score service is asked again for which a period goes on that has ended by this clock."""
_KEPT_MAX: Final = 1_000


class PeriodSource(Protocol):
    """What is needed of `ScoreClient`."""

    async def list_standings(self, *, board_id: str, page_size: int, period: str) -> StandingsView:
        """Read the top of a board."""


class Calendar:
    """The current periods of boards."""

    def __init__(self, source: PeriodSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._known = OrderedDict[tuple[str, PeriodKind], tuple[float, Period | None]]()

    async def find_current(self, board_id: str, kind: PeriodKind) -> Period | None:
        """Return the current period of a kind; None where the board has none.

        Raises:
            UnavailableError: the score service is unavailable.
        """
        until, known = self._known.get((board_id, kind), (0.0, None))
        if self._clock() < until:
            return known
        period = await self._read(board_id, kind)
        if period and known and steps_back(period, known, self._clock()):
            period = known
        self._known[board_id, kind] = self._find_end(period), period
        if len(self._known) > _KEPT_MAX:
            self._known.popitem(last=False)
        return period

    async def find_day(self, board_id: str) -> str:
        """Return the date of the current day of a board, such as `2026-11-30`; the empty text without days.

        Raises:
            UnavailableError: the score service is unavailable.
        """
        day = await self.find_current(board_id, PeriodKind.DAY)
        return "" if day is None else day.period_id.partition(":")[2]

    async def _read(self, board_id: str, kind: PeriodKind) -> Period | None:
        try:
            # A score service without periods answers with all time, which is no period.
            return (await self._source.list_standings(board_id=board_id, page_size=1, period=kind)).period
        except (BoardNotFoundError, PeriodUnknownError):
            return None
        except ScoreClientError as error:
            raise translate(error) from error

    def _find_end(self, period: Period | None) -> float:
        now = self._clock()
        ends_at = now + _KEPT_SECONDS if period is None else period.ends_at.timestamp()
        return min(ends_at, now + _KEPT_SECONDS) if now < ends_at else now + _OVERDUE_SECONDS
