"""Periods of a board with their winners: those that are final from the archive, the others as they stand."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from score_service.boards.standings.leaderboard import Leaderboard
from score_service.boards.standings.shared_reads import RecordReader
from score_service.domain.board.board_settings import BoardSettings
from score_service.domain.board.period import PeriodChoice, PeriodKind, PeriodState, PeriodView, StoredPeriod
from score_service.domain.ledger.reversal import Reversal
from score_service.domain.standings.standing import Standing
from score_service.errors import BoardNotFoundError
from score_service.periods.calendar import next_start_after
from score_service.record.boards import BoardStore
from score_service.record.corrections import Corrections
from score_service.record.periods import PeriodStore
from score_service.record.results import Podium, Results

REVERSALS_MAX: Final = 100
"""Of those that a period lists which were made after it was final."""


@dataclass(frozen=True, slots=True)
class PeriodResult:
    """A period with its result, so far or for good."""

    view: PeriodView
    winners: tuple[Standing, ...]
    """The best, in order."""
    final: StoredPeriod | None = None
    """What the record has of it; None where it is not final."""
    reversed_after: int = 0
    """Awards in it that were taken back after it was final. Read for one period alone."""
    reversals_after: tuple[Reversal, ...] = ()
    """The newest of these."""


@dataclass(frozen=True, slots=True)
class PeriodsPage:
    """A page of the periods of a board."""

    results: tuple[PeriodResult, ...]
    last: StoredPeriod | None
    """Its last one, where there are more; None where not."""


class PeriodResults:
    """Reads periods with their results.

    Every method raises `BoardNotFoundError` where there is no such board, and what reads of a `Leaderboard`
    raise where a store is unavailable or too busy.
    """

    def __init__(
        self,
        boards: BoardStore,
        periods: PeriodStore,
        results: Results,
        leaderboard: Leaderboard,
        corrections: Corrections,
        reader: RecordReader,
    ) -> None:
        self._boards = boards
        self._periods = periods
        self._results = results
        self._leaderboard = leaderboard
        self._corrections = corrections
        self._reader = reader

    async def get(self, board_id: str, choice: PeriodChoice, winners: int) -> PeriodResult:
        """Read one period.

        Args:
            board_id: the board.
            choice: which period.
            winners: how many of the best, 0 or more.

        Raises:
            PeriodUnknownError: the board has no such period, or it has not begun.
        """
        shown = await self._leaderboard.list_standings(board_id, max(winners, 1), choice=choice)
        if shown.period is None:
            raise TypeError("a read of a period shows a period")
        best = shown.standings[:winners]
        if shown.period.state is not PeriodState.FINAL:
            return PeriodResult(shown.period, best)
        period_id = shown.period.period.period_id
        final = await self._reader.look_up(self._periods.find, board_id, period_id, suffices=_is_final)
        count, newest = await self._reader.look_up(
            self._corrections.list_reversals_after, board_id, period_id, REVERSALS_MAX
        )
        return PeriodResult(shown.period, best, final, count, newest)

    async def list_page(
        self,
        board_id: str,
        kind: PeriodKind | None,
        winners: int,
        limit: int,
        before: tuple[datetime, int] | None,
    ) -> PeriodsPage:
        """Read periods that anyone has points in, the last to end first.

        Args:
            board_id: the board.
            kind: of this kind alone; None for all.
            winners: how many of the best of each, 0 or more.
            limit: how many periods, at most.
            before: the end and the number of the last one of the page before; None for the first page.
        """
        board = await self._reader.look_up(self._boards.find, board_id)
        if board is None:
            raise BoardNotFoundError
        rest = (before,) if before is not None else ()
        found = await self._reader.look_up(self._periods.list_periods, board_id, kind, limit + 1, *rest)
        stored = found[:limit]
        ids = tuple(entry.period.period_id for entry in stored if entry.is_final)
        best = await self._reader.look_up(self._results.list_winners, board_id, ids, winners) if ids else {}
        results = [
            _finished(entry, board.settings, best.get(entry.period.period_id, Podium(0, ())))
            if entry.is_final
            else await self.get(board_id, PeriodChoice(entry.period.kind, entry.period.period_id), winners)
            for entry in stored
        ]
        return PeriodsPage(tuple(results), stored[-1] if len(found) > limit else None)


def _is_final(stored: StoredPeriod | None) -> bool:
    return stored is not None and stored.is_final


def _finished(entry: StoredPeriod, settings: BoardSettings, podium: Podium) -> PeriodResult:
    next_starts_at = next_start_after(settings, entry.period)
    view = PeriodView(entry.period, PeriodState.FINAL, next_starts_at, podium.entrants)
    return PeriodResult(view, podium.winners, entry)
