"""Awards points: the record first, then the ranks.

Invariants:
- An award runs in a task of its own. The caller's cancel or deadline ends the waiting, never the work.
- Redis failing after the commit does not fail the award; the answer has no rank then.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar
from uuid import UUID

import structlog

from score_service.award import Award, AwardOutcome, OutOfRange, RecordedAward, is_replay
from score_service.errors import ProjectionUnavailableError, RecordUnavailableError, TotalOutOfRangeError
from score_service.ledger import Ledger
from score_service.projection import Projection
from score_service.projector import Projector

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


class Scoring:
    """The write path."""

    def __init__(self, ledger: Ledger, projection: Projection, projector: Projector) -> None:
        self._ledger = ledger
        self._projection = projection
        self._projector = projector
        self._tasks: set[asyncio.Task[Any]] = set()

    async def award(self, award: Award) -> AwardOutcome:
        """Make an award, or tell the first result if it was made before.

        Raises:
            AwardConflictError: the id was used for another user, action or points.
            RecordUnavailableError: PostgreSQL is away; the outcome is unknown.
            TotalOutOfRangeError: the award was not made.
        """
        return await self._detached(self._award(award))

    async def get_award(self, board_id: str, award_id: UUID) -> AwardOutcome:
        """Tell the first result of an award, with the user's rank today.

        Raises:
            AwardNotFoundError: the board has no such award.
            RecordUnavailableError: PostgreSQL is away.
        """
        recorded = await self._ledger.get_award(board_id, award_id)
        return AwardOutcome(recorded, await self._rank_now(board_id, recorded), replayed=True)

    async def finish(self) -> None:
        """Wait until every award that was begun has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _award(self, award: Award) -> AwardOutcome:
        batch = await self._ledger.record_awards(award.board_id, [award])
        (recorded,) = batch.results
        if isinstance(recorded, OutOfRange):
            raise TotalOutOfRangeError
        replayed = is_replay(award, recorded)
        if not batch.changes.changes:
            return AwardOutcome(recorded, await self._rank_now(award.board_id, recorded), replayed)
        try:
            ranks = await self._projector.project(batch.changes)
        except (ProjectionUnavailableError, RecordUnavailableError) as error:
            _log.warning("award not projected yet", revision=recorded.revision, error=str(error))
            ranks = {}
        return AwardOutcome(recorded, ranks.get(award.user_id), replayed)

    async def _rank_now(self, board_id: str, recorded: RecordedAward) -> int | None:
        """Tell the user's rank, if the projection shows the award."""
        try:
            reading = await self._projection.get_standings(board_id, [recorded.user_id])
            if reading is None or reading.position.revision < recorded.revision:
                await self._projector.catch_up(board_id)
                reading = await self._projection.get_standings(board_id, [recorded.user_id])
        except (ProjectionUnavailableError, RecordUnavailableError):
            return None
        return reading.users[0].rank if reading and reading.users else None

    async def _detached(self, work: Coroutine[Any, Any, _T]) -> _T:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)
