"""Takes awards back, and hides and shows users: the record first, then the ranks.

Invariants:
- A correction that has begun is worked on to its end: the caller's cancel or deadline ends the waiting alone.
  One that waits for its turn is withdrawn by them.
- Redis failing after the commit does not fail a correction and does not hold it up; the answer has no rank
  then, and the projector catches up.
- Few corrections are at once and few wait, so that awards find PostgreSQL free.
- Each correction that was made is logged and counted once. Why it was made stands in the ledger alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import structlog

from score_service.boards.corrections.slots import Slots
from score_service.boards.ranks_in_time import Ranks, find_in_time
from score_service.domain.ledger.changes import Changes
from score_service.domain.ledger.correction import CorrectionKind
from score_service.domain.ledger.reversal import (
    AwardArchived,
    AwardMissing,
    Reversal,
    ReversalConflict,
    ReversalRequest,
    ReversedBatch,
)
from score_service.domain.ledger.visibility import Visibility
from score_service.errors import (
    AwardNotFoundError,
    AwardReversedError,
    HistoryArchivedError,
    ScoreServiceError,
)
from score_service.reconcile.projector import Projector
from score_service.record.corrections import Corrections, VisibilitySet

_AT_ONCE: Final = 2
"""Fewer than there are connections: those of one board wait for each other in PostgreSQL."""
_WAITING_MAX: Final = 200
_Result = TypeVar("_Result")

_log = structlog.get_logger(__name__)


class ReversalOutcome(NamedTuple):
    """What a reversal is answered with."""

    reversal: Reversal
    rank: int | None
    """The user's rank now, 1 for the best; None where there is none, or it is not known."""
    replayed: bool
    """True if it was made before."""


class Corrector:
    """Corrects boards.

    Every method raises `BoardNotFoundError` where there is no such board, `OverloadedError` where too many
    corrections wait and this one was not taken in, and `RecordUnavailableError` where PostgreSQL is
    unavailable and the outcome unknown.
    """

    def __init__(
        self,
        corrections: Corrections,
        projector: Projector,
        *,
        on_made: Callable[[CorrectionKind, int], None] = lambda _kind, _count: None,
        rank_seconds: float = 1.0,
        at_once: int = _AT_ONCE,
        waiting_max: int = _WAITING_MAX,
    ) -> None:
        """Take how to correct.

        Args:
            corrections: The record.
            projector: What keeps the ranks up with it.
            on_made: Called with a kind of correction, and how many of them are new.
            rank_seconds: How long an answer waits for the ranks to follow.
            at_once: How many corrections run at once.
            waiting_max: How many wait besides.
        """
        self._corrections = corrections
        self._projector = projector
        self._on_made = on_made
        self._rank_seconds = rank_seconds
        self._slots = Slots(at_once, waiting_max)
        self._under_way: set[asyncio.Task[Any]] = set()

    async def reverse(
        self, board_id: str, request: ReversalRequest, *, actor: str, trace_id: str
    ) -> ReversalOutcome:
        """Take an award back, or return the first result if that was done before.

        Raises:
            AwardNotFoundError: the board has no such award.
            AwardReversedError: another reversal of the award stands, or the id is one of another award.
            HistoryArchivedError: the award is archived, and was not taken back before that.
        """
        return await self._to_the_end(board_id, partial(self._reverse, board_id, request, actor, trace_id))

    async def reverse_page(
        self, board_id: str, requests: Sequence[ReversalRequest], *, actor: str, trace_id: str
    ) -> ReversedBatch:
        """Take many awards of a board back in one commit. The ranks are not moved: see `follow`.

        Args:
            board_id: the board.
            requests: 1 to 250, each of another award and with another id.
            actor: the SPIFFE id of the caller.
            trace_id: 32 hex digits, or empty.
        """
        return await self._to_the_end(
            board_id, partial(self._reverse_page, board_id, requests, actor, trace_id)
        )

    async def set_visibility(
        self,
        board_id: str,
        user_id: str,
        visibility: Visibility,
        reason: str,
        *,
        actor: str,
        on_behalf_of: str,
        trace_id: str,
    ) -> VisibilitySet:
        """Set who may see a user on a board.

        Raises:
            StandingNotFoundError: the user never had an award on the board.
        """
        write = partial(
            self._corrections.set_visibility,
            board_id,
            user_id,
            visibility,
            reason,
            actor=actor,
            on_behalf_of=on_behalf_of,
            trace_id=trace_id,
        )
        return await self._to_the_end(board_id, partial(self._set_visibility, user_id, on_behalf_of, write))

    async def follow(self, changes: Changes) -> None:
        """Have the ranks follow a commit, if they can in time."""
        if _is_new(changes):
            project = partial(self._projector.project, changes)
            await find_in_time(changes.board_id, self._rank_seconds, project)

    async def finish(self) -> None:
        """Wait until every correction that has begun has ended."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _to_the_end(self, board_id: str, work: Callable[[], Awaitable[_Result]]) -> _Result:
        """Have work done by a task of its own once there is a slot for it.

        To cancel this before is to withdraw the work: what nobody waits for would hold up the others.
        To cancel it later is to stop waiting, and no more.
        """
        async with AsyncExitStack() as taking:
            await taking.enter_async_context(self._slots.take())
            slot = taking.pop_all()
        task = asyncio.create_task(self._work(board_id, work, slot), name="correction")
        self._under_way.add(task)
        task.add_done_callback(self._leave)
        return await asyncio.shield(task)

    async def _work(
        self, board_id: str, work: Callable[[], Awaitable[_Result]], slot: AsyncExitStack
    ) -> _Result:
        try:
            async with slot:
                return await work()
        except ScoreServiceError:
            raise
        except Exception:
            # Logged here, because its caller may have given up.
            _log.exception("correction_failed", board_id=board_id)
            raise

    def _leave(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # Its caller may have given up, and it is not to be reported as lost.

    async def _reverse(
        self, board_id: str, request: ReversalRequest, actor: str, trace_id: str
    ) -> ReversalOutcome:
        batch = await self._corrections.reverse_awards(board_id, [request], actor=actor, trace_id=trace_id)
        (result,), (is_new,) = batch.results, batch.is_new
        if isinstance(result, AwardMissing):
            raise AwardNotFoundError
        if isinstance(result, AwardArchived):
            raise HistoryArchivedError(result.cut)
        if isinstance(result, ReversalConflict):
            raise AwardReversedError(result.standing)
        if is_new:
            self._on_made(CorrectionKind.REVERSAL, 1)
            _log.info(
                "award_reversed",
                board_id=board_id,
                award_id=result.award_id,
                reversal_id=result.reversal_id,
                user_id=result.user_id,
                points=result.points,
                on_behalf_of=result.on_behalf_of,
                position=str(result.position),
            )
        find = partial(self._ranks, batch.changes, result)
        ranks = await find_in_time(board_id, self._rank_seconds, find)
        return ReversalOutcome(result, ranks.get(result.user_id), not is_new)

    async def _reverse_page(
        self, board_id: str, requests: Sequence[ReversalRequest], actor: str, trace_id: str
    ) -> ReversedBatch:
        batch = await self._corrections.reverse_awards(board_id, requests, actor=actor, trace_id=trace_id)
        if count := sum(batch.is_new):
            self._on_made(CorrectionKind.REVERSAL, count)
            _log.info("awards_reversed", board_id=board_id, count=count, position=str(batch.changes.after))
        return batch

    async def _set_visibility(
        self, user_id: str, on_behalf_of: str, write: Callable[[], Awaitable[VisibilitySet]]
    ) -> VisibilitySet:
        made = await write()
        if _is_new(made.changes):
            self._on_made(CorrectionKind.VISIBILITY, 1)
            _log.info(
                "visibility_set",
                board_id=made.changes.board_id,
                user_id=user_id,
                before=made.before.value,
                visibility=made.visibility.value,
                on_behalf_of=on_behalf_of,
                position=str(made.position),
            )
            await self.follow(made.changes)
        return made

    async def _ranks(self, changes: Changes, reversal: Reversal) -> Ranks:
        if _is_new(changes):
            return await self._projector.project(changes)
        return await self._projector.ranks_at(changes.board_id, [reversal.user_id], reversal.revision)


def _is_new(changes: Changes) -> bool:
    return changes.before != changes.after
