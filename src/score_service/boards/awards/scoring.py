"""Awards points: the record first, then the ranks.

Invariants:
- An award that was taken in is worked on to its end. The caller's cancel or deadline ends the waiting.
- Redis failing after the commit, or being far behind, does not fail an award and does not hold it up; the
  answer has no rank then.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, TypeAlias

from score_service.boards.awards.coalescer import BATCH_MAX, WAITING_MAX, AwardReply, Coalescer
from score_service.boards.awards.scheduler import Scheduler
from score_service.boards.ranks_in_time import Ranks, find_in_time
from score_service.domain.ledger.award import (
    ArchivedAward,
    Award,
    AwardOutcome,
    OutOfRange,
    PeriodClosed,
    RecordedAward,
    is_replay,
)
from score_service.errors import (
    AwardArchivedError,
    AwardNotFoundError,
    HistoryArchivedError,
    OverloadedError,
    PeriodClosedError,
    RecordUnavailableError,
    ScoreServiceError,
    TotalOutOfRangeError,
)
from score_service.reconcile.projector import Projector
from score_service.record.ledger import Ledger, RecordedBatch

AwardRecord: TypeAlias = RecordedAward | ArchivedAward | OutOfRange | PeriodClosed
"""What became of an award in the ledger."""

_SCHEDULES_MAX: Final = 4
"""How often a batch is sent: its schedule may be rejected three times."""


class Scoring:
    """The write path."""

    def __init__(
        self,
        ledger: Ledger,
        projector: Projector,
        scheduler: Scheduler,
        *,
        on_outcomes: Callable[[Iterable[AwardOutcome]], None] = lambda _outcomes: None,
        on_made: Callable[[Sequence[Award]], None] | None = None,
        rank_seconds: float = 1.0,
        batch_max: int = BATCH_MAX,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        """Take how to answer.

        Args:
            ledger: The record.
            projector: What keeps the ranks up with it.
            scheduler: What says which periods awards may count in.
            on_outcomes: Called with all outcomes.
            on_made: Called with the awards that are new, each once.
            rank_seconds: How long a batch waits for its ranks.
            batch_max: Awards in one commit, at most.
            waiting_max: Awards taken in and not yet answered, at most.
        """
        self._ledger = ledger
        self._projector = projector
        self._scheduler = scheduler
        self._on_outcomes = on_outcomes
        self._on_made = on_made
        self._rank_seconds = rank_seconds
        self._coalescer = Coalescer(self._commit, self._answer, batch_max=batch_max, waiting_max=waiting_max)

    @property
    def waiting(self) -> int:
        """Awards taken in and not yet answered."""
        return self._coalescer.waiting

    def require_room(self) -> None:
        """Raise at once, before an award is even read, if there is no room for one.

        Raises:
            OverloadedError: too many awards wait.
        """
        if self._coalescer.is_full:
            raise OverloadedError

    async def award(self, award: Award) -> AwardOutcome:
        """Make an award, or return the first result if it was made before.

        Raises:
            ScoreServiceError: one of those that `award_all` returns.
        """
        (outcome,) = await self.award_all([award])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def award_all(self, awards: Sequence[Award]) -> list[AwardReply]:
        """Make awards, or return the first results of those made before.

        Returns:
            What became of each, in order. Where that is no `AwardOutcome`, it is

            - AwardArchivedError: the award was made before, and is archived;
            - AwardConflictError: the id was used for another user, action or points;
            - OverloadedError: too many awards wait, and this one was not taken in;
            - PeriodClosedError: the award was not made, because it is too late for one of its periods;
            - RecordUnavailableError: PostgreSQL is unavailable, and the outcome is unknown;
            - TotalOutOfRangeError: the award was not made.
        """
        return await self._coalescer.submit(awards)

    async def get_award(self, board_id: str, award_id: str) -> AwardOutcome:
        """Return the first result of an award, with the user's rank today.

        Raises:
            AwardNotFoundError: the board has no such award.
            HistoryArchivedError: the award is archived.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        recorded = await self._ledger.get_award(board_id, award_id)
        find = partial(self._projector.ranks_at, board_id, [recorded.user_id], recorded.revision)
        ranks = await find_in_time(board_id, self._rank_seconds, find)
        return AwardOutcome(recorded, ranks.get(recorded.user_id), replayed=True)

    async def find_outcome(self, award: Award) -> AwardOutcome:
        """Return the first result of an award that was asked for again.

        Raises:
            AwardArchivedError: it was made, and is archived.
            AwardConflictError: the id was used for another user, action or points.
            AwardNotFoundError: it was not made.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        try:
            found = await self.get_award(award.board_id, award.award_id)
        except HistoryArchivedError:
            archived = await self._ledger.find_archived(award.board_id, [award.award_id])
            if award.award_id not in archived.revisions:  # It was forgotten meanwhile.
                raise AwardNotFoundError from None
            raise AwardArchivedError(archived.revisions[award.award_id]) from None
        return found._replace(replayed=is_replay(award, found.recorded))

    async def finish(self) -> None:
        """Wait until every award that was taken in has ended."""
        await self._coalescer.finish()

    async def _commit(self, board_id: str, awards: Sequence[Award]) -> RecordedBatch:
        """Write a batch, in the periods that the settings of its board make of the time.

        A board without periods is written at once. Of another, the settings are read when they are first
        needed, and when they have changed.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable, or the settings change all the time.
        """
        for _ in range(_SCHEDULES_MAX):
            recorded = await self._ledger.record_awards(
                board_id, awards, self._scheduler.schedule(board_id, awards)
            )
            if isinstance(recorded, RecordedBatch):
                return recorded
            await self._scheduler.learn(board_id, recorded)
        raise RecordUnavailableError

    async def _answer(self, awards: Sequence[Award], batch: RecordedBatch) -> Sequence[AwardReply]:
        find = partial(self._ranks, batch)
        ranks = await find_in_time(batch.changes.board_id, self._rank_seconds, find)
        newly = set[str]()
        outcomes: list[AwardReply] = []
        for award, result in zip(awards, batch.results, strict=True):
            is_new = award.award_id not in newly and _is_in(batch, result)
            outcome = _outcome(award, result, ranks, is_new=is_new)
            if isinstance(outcome, AwardOutcome):
                newly.add(award.award_id)
            outcomes.append(outcome)
        self._on_outcomes(outcome for outcome in outcomes if isinstance(outcome, AwardOutcome))
        if self._on_made:
            answered = zip(awards, outcomes, strict=True)
            self._on_made([award for award, outcome in answered if _is_new(outcome)])
        return outcomes

    async def _ranks(self, batch: RecordedBatch) -> Ranks:
        """Project a commit, and find the rank of everyone whom its batch asked for."""
        changes = batch.changes
        ranks = await self._projector.project(changes) if changes.before != changes.after else {}
        others = [r for r in batch.results if isinstance(r, RecordedAward) and r.user_id not in ranks]
        if not others:
            return ranks
        users = list({award.user_id for award in others})
        revision = max(award.revision for award in others)
        return {**await self._projector.ranks_at(changes.board_id, users, revision), **ranks}


def _is_in(batch: RecordedBatch, result: AwardRecord) -> bool:
    """Return whether an award was made by the commit of this batch."""
    return isinstance(result, RecordedAward) and result.revision > batch.changes.before.revision


def _is_new(outcome: AwardReply) -> bool:
    return isinstance(outcome, AwardOutcome) and outcome.is_new


def _outcome(award: Award, result: AwardRecord, ranks: Ranks, *, is_new: bool) -> AwardReply:
    if isinstance(result, ArchivedAward):
        return AwardArchivedError(result.revision)
    if isinstance(result, OutOfRange):
        return TotalOutOfRangeError()
    if isinstance(result, PeriodClosed):
        return PeriodClosedError()
    try:
        return AwardOutcome(result, ranks.get(result.user_id), is_replay(award, result), is_new)
    except ScoreServiceError as error:
        return error
