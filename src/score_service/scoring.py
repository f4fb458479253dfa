"""Awards points: the record first, then the ranks.

Invariants:
- An award runs in a task of its own. The caller's cancel or deadline ends the waiting, never the work.
- Redis failing after the commit, or being far behind, does not fail the award and does not hold it up; the
  answer has no rank then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar
from uuid import UUID

import structlog

from score_service.award import Award, AwardOutcome, OutOfRange, RecordedAward, is_replay
from score_service.changes import Changes
from score_service.errors import (
    ProjectionUnavailableError,
    RecordUnavailableError,
    ScoreServiceError,
    TotalOutOfRangeError,
)
from score_service.ledger import Ledger
from score_service.projection import Projection
from score_service.projector import Projector

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


class Scoring:
    """The write path."""

    def __init__(
        self,
        ledger: Ledger,
        projection: Projection,
        projector: Projector,
        *,
        on_outcome: Callable[[AwardOutcome], None] = lambda _outcome: None,
        rank_seconds: float = 1.0,
    ) -> None:
        """Take whom to tell of each outcome, and for how many seconds an answer waits for its rank."""
        self._ledger = ledger
        self._projection = projection
        self._projector = projector
        self._on_outcome = on_outcome
        self._rank_seconds = rank_seconds
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
        rank = await self._in_time(self._rank_now(board_id, recorded), recorded)
        return AwardOutcome(recorded, rank, replayed=True)

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
        is_new = recorded.revision > batch.changes.before.revision
        rank_of = (
            self._projected(batch.changes, recorded) if is_new else self._rank_now(award.board_id, recorded)
        )
        rank = await self._in_time(rank_of, recorded)
        outcome = AwardOutcome(recorded, rank, replayed, is_new)
        self._on_outcome(outcome)
        return outcome

    async def _in_time(self, rank: Awaitable[int | None], recorded: RecordedAward) -> int | None:
        """Wait for a rank, but not for a store that is away, nor until a long ledger is projected again."""
        try:
            async with asyncio.timeout(self._rank_seconds):
                return await rank
        except (ProjectionUnavailableError, RecordUnavailableError, TimeoutError) as error:
            _log.warning(
                "award without rank", revision=recorded.revision, error=str(error) or "too far behind"
            )
            return None
        except Exception:  # noqa: BLE001 - Logged whole; the award is made all the same.
            _log.exception("award without rank")
            return None

    async def _projected(self, changes: Changes, recorded: RecordedAward) -> int | None:
        ranks = await self._projector.project(changes)
        return ranks.get(recorded.user_id)

    async def _rank_now(self, board_id: str, recorded: RecordedAward) -> int | None:
        """Tell the user's rank, if the projection shows the award."""
        reading = await self._projection.get_standings(board_id, [recorded.user_id])
        if reading is None or reading.position.revision < recorded.revision:
            await self._projector.catch_up(board_id)
            reading = await self._projection.get_standings(board_id, [recorded.user_id])
        if reading is None or reading.position.revision < recorded.revision:
            return None
        return reading.users[0].rank if reading.users else None

    async def _detached(self, work: Coroutine[Any, Any, _T]) -> _T:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_failure)
            raise


def _log_failure(task: asyncio.Task[Any]) -> None:
    """Log a failure that nobody waits for any more, if it is not one of those that callers are told."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, ScoreServiceError):
        _log.error("award failed", exc_info=error)
