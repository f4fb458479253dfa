"""Awards points: the record first, then the ranks.

Invariants:
- An award that was taken in is worked on to its end. The caller's cancel or deadline ends the waiting.
- Redis failing after the commit, or being far behind, does not fail an award and does not hold it up; the
  answer has no rank then. While Redis is away, one batch a second asks for it and the others do not wait.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias
from uuid import UUID

import structlog

from score_service.award import Award, AwardOutcome, OutOfRange, RecordedAward, is_replay
from score_service.coalescer import BATCH_MAX, WAITING_MAX, Coalescer
from score_service.errors import (
    ProjectionUnavailableError,
    RecordUnavailableError,
    ScoreServiceError,
    TotalOutOfRangeError,
)
from score_service.ledger import Ledger, RecordedBatch
from score_service.projection import Projection
from score_service.projector import Projector

_AWAY_SECONDS: Final = 1.0
"""After Redis has failed, nothing waits for it for so long."""

Ranks: TypeAlias = Mapping[str, int]
"""By user, 1 for the best; without those that are not known."""

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
        batch_max: int = BATCH_MAX,
        waiting_max: int = WAITING_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take whom to tell of each outcome, and for how many seconds a batch waits for its ranks."""
        self._ledger = ledger
        self._projection = projection
        self._projector = projector
        self._on_outcome = on_outcome
        self._rank_seconds = rank_seconds
        self._clock = clock
        self._away_until = 0.0
        self._coalescer = Coalescer(
            ledger.record_awards, self._answer, batch_max=batch_max, waiting_max=waiting_max
        )

    @property
    def waiting(self) -> int:
        """Awards taken in and not yet answered."""
        return self._coalescer.waiting

    async def award(self, award: Award) -> AwardOutcome:
        """Make an award, or tell the first result if it was made before.

        Raises:
            AwardConflictError: the id was used for another user, action or points.
            OverloadedError: too many awards wait; this one was not taken in.
            RecordUnavailableError: PostgreSQL is away; the outcome is unknown.
            TotalOutOfRangeError: the award was not made.
        """
        return await asyncio.shield(self._coalescer.submit(award))

    def submit(self, award: Award) -> "asyncio.Future[AwardOutcome]":
        """Make an award without waiting for it. The outcome must not be cancelled.

        Raises:
            OverloadedError: too many awards wait; this one was not taken in.
        """
        return self._coalescer.submit(award)

    async def get_award(self, board_id: str, award_id: UUID) -> AwardOutcome:
        """Tell the first result of an award, with the user's rank today.

        Raises:
            AwardNotFoundError: the board has no such award.
            RecordUnavailableError: PostgreSQL is away.
        """
        recorded = await self._ledger.get_award(board_id, award_id)
        ranks = await self._in_time(partial(self._ranks_now, board_id, [recorded]))
        return AwardOutcome(recorded, ranks.get(recorded.user_id), replayed=True)

    async def finish(self) -> None:
        """Wait until every award that was taken in has ended."""
        await self._coalescer.finish()

    async def _answer(
        self, awards: Sequence[Award], batch: RecordedBatch
    ) -> Sequence[AwardOutcome | Exception]:
        ranks = await self._in_time(partial(self._ranks, batch))
        newly = set[UUID]()
        outcomes: list[AwardOutcome | Exception] = []
        for award, result in zip(awards, batch.results, strict=True):
            is_new = award.award_id not in newly and _is_in(batch, result)
            outcome = _outcome(award, result, ranks, is_new=is_new)
            if isinstance(outcome, AwardOutcome):
                newly.add(award.award_id)
                self._on_outcome(outcome)
            outcomes.append(outcome)
        return outcomes

    async def _in_time(self, find_ranks: Callable[[], Awaitable[Ranks]]) -> Ranks:
        """Find ranks, but wait neither for a store that is away, nor for a long ledger to be projected."""
        if self._clock() < self._away_until:
            return {}
        try:
            async with asyncio.timeout(self._rank_seconds):
                return await find_ranks()
        except (ProjectionUnavailableError, RecordUnavailableError, TimeoutError) as error:
            self._away_until = self._clock() + _AWAY_SECONDS
            _log.warning("no ranks", error=str(error) or "too far behind")
        except Exception:  # noqa: BLE001 - Logged whole; the awards are made all the same.
            _log.exception("no ranks")
        return {}

    async def _ranks(self, batch: RecordedBatch) -> Ranks:
        """Project a commit, and find the rank of everyone whom its batch asked for."""
        changes = batch.changes
        ranks = await self._projector.project(changes) if changes.changes else {}
        others = [r for r in batch.results if isinstance(r, RecordedAward) and r.user_id not in ranks]
        return {**await self._ranks_now(changes.board_id, others), **ranks} if others else ranks

    async def _ranks_now(self, board_id: str, recorded: Sequence[RecordedAward]) -> Ranks:
        """Tell the users' ranks, if the projection shows these awards."""
        users = list({award.user_id for award in recorded})
        revision = max(award.revision for award in recorded)
        reading = await self._projection.get_standings(board_id, users)
        if reading is None or reading.position.revision < revision:
            await self._projector.catch_up(board_id)
            reading = await self._projection.get_standings(board_id, users)
        if reading is None or reading.position.revision < revision:
            return {}
        return {standing.user_id: standing.rank for standing in reading.users if standing.rank}


def _is_in(batch: RecordedBatch, result: RecordedAward | OutOfRange) -> bool:
    """Tell whether an award was made by the commit of this batch."""
    return isinstance(result, RecordedAward) and result.revision > batch.changes.before.revision


def _outcome(
    award: Award, result: RecordedAward | OutOfRange, ranks: Ranks, *, is_new: bool
) -> AwardOutcome | Exception:
    if isinstance(result, OutOfRange):
        return TotalOutOfRangeError()
    try:
        return AwardOutcome(result, ranks.get(result.user_id), is_replay(award, result), is_new)
    except ScoreServiceError as error:
        return error
