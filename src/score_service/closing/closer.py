"""Takes a period that is due through all steps that make it final, and what is left of it out of the way.

Invariants:
- Every step may be repeated, interrupted or taken by several processes at once: the record says what is done.
- The entry is written once, by any process, and its content does not depend on which.
- The projection follows the ledger by itself. It is told only so that it does so at once.
"""

from contextlib import suppress
from typing import Final

import structlog

from score_service.closing.archiver import Archiver
from score_service.domain.board.period import StoredPeriod
from score_service.domain.ledger.changes import Changes
from score_service.errors import ProjectionUnavailableError
from score_service.reconcile.projector import Projector
from score_service.record.boards import BoardStore
from score_service.record.periods import PeriodStore

ACTOR: Final = "score-service"
"""Who closes periods, in the ledger."""
_PAGE: Final = 5_000
"""Rows that one statement removes."""

_log = structlog.get_logger(__name__)


class Closer:
    """Makes periods final."""

    def __init__(
        self, boards: BoardStore, periods: PeriodStore, archiver: Archiver, projector: Projector
    ) -> None:
        self._boards = boards
        self._periods = periods
        self._archiver = archiver
        self._projector = projector
        self.closed = 0
        """Periods whose entry this process has written."""

    async def finish(self, board_id: str, stored: StoredPeriod) -> None:
        """Make a period final, and let go of its standings and of results that are not kept in full.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable. What was done stays so.
        """
        if not stored.is_final:
            await self._close(board_id, stored)
        after = ""
        while page := await self._periods.forget_standings(board_id, stored.period.period_id, after, _PAGE):
            after = page.last_user_id
        await self._prune_results(board_id, stored)

    async def _close(self, board_id: str, stored: StoredPeriod) -> None:
        period_id = stored.period.period_id
        if stored.closed_revision is None:
            await self._periods.freeze_periods(board_id)
        archive = await self._archiver.archive(board_id, period_id)
        changes = await self._periods.close_period(
            board_id, period_id, archive.entrants, archive.digest, archive.frozen_digest, ACTOR
        )
        if changes:
            self.closed += 1
            _log.info(
                "period_closed",
                board_id=board_id,
                period_id=period_id,
                entrants=archive.entrants,
                digest=archive.digest.hex(),
            )
            await self._project(changes)

    async def _project(self, changes: Changes) -> None:
        with suppress(ProjectionUnavailableError):  # The projection comes to it by itself.
            await self._projector.project(changes)

    async def _prune_results(self, board_id: str, stored: StoredPeriod) -> None:
        board = await self._boards.find(board_id)
        keep = board.settings.keep if board else 0
        while keep and await self._periods.prune_results(board_id, stored.period.kind, keep, _PAGE):
            pass
