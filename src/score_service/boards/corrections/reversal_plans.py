"""Takes back all awards that a filter selects: a plan says what would change, and is then applied in pages.

Invariants:
- A plan changes nothing, and nothing is kept of it: its token has what an apply needs.
- An apply may be asked again, of any process, while it runs and after it: each award is reversed once, by an
  id that follows from the plan and the award. What came after the plan is not touched.
- Each page is a commit, so awards of the same board go on between pages. A call applies for some seconds and
  says how far it has come.
- Where filter, settings or history are not those of the plan, or awards of it may be archived since, nothing
  is reversed.
"""

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import structlog

from score_service.boards.corrections.corrector import Corrector
from score_service.boards.corrections.slots import Slots
from score_service.domain.ledger.changes import Changes
from score_service.domain.ledger.history import AwardFilter, PlannedReversals, SelectedAward
from score_service.domain.ledger.reversal import AwardArchived, ReversalConflict, ReversalRequest
from score_service.domain.tokens.plan_token import PlanToken, name_selection, read_plan_token
from score_service.errors import (
    AwardReversedError,
    BoardNotFoundError,
    InvalidRequestError,
    PlanStaleError,
    ScoreServiceError,
)
from score_service.record.archive import Archive
from score_service.record.boards import BoardStore, StoredBoard
from score_service.record.history import History
from score_service.record.ledger import Ledger

AWARDS_MAX: Final = 200_000
"""Of a plan."""
PAGE_MAX: Final = 250
"""Reversals in one commit."""
_COUNTED_MAX: Final = 10_000
"""Awards that are read at once to count what is left."""
_APPLY_SECONDS: Final = 10.0
"""For how long a call applies a plan, at most."""
_PLANS_AT_ONCE: Final = 1
_PLANS_WAITING: Final = 4
_Result = TypeVar("_Result")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReversalPlan:
    """What would be taken back, and what would come of it."""

    token: PlanToken
    found: PlannedReversals


@dataclass(frozen=True, slots=True)
class AppliedPlan:
    """A plan, and how far it has come."""

    token: PlanToken
    reversed: int
    """Awards of it that are reversed now, by any caller."""


@dataclass(frozen=True, slots=True)
class Correction:
    """Who takes back, and why."""

    reason: str
    actor: str
    on_behalf_of: str
    trace_id: str


class _Apply(NamedTuple):
    """A plan that is to be applied."""

    board_id: str
    chosen: AwardFilter
    token: PlanToken
    correction: Correction
    seconds: float
    """For so long."""


class ReversalPlans:
    """Plans reversals, and applies plans.

    Every method raises `BoardNotFoundError` where there is no such board, `OverloadedError` where too many
    others wait, and `RecordUnavailableError` where PostgreSQL is unavailable.
    """

    def __init__(
        self,
        boards: BoardStore,
        ledger: Ledger,
        history: History,
        archive: Archive,
        corrector: Corrector,
        *,
        new_id: Callable[[], uuid.UUID] = uuid.uuid4,
        awards_max: int = AWARDS_MAX,
    ) -> None:
        """Take how to plan.

        Args:
            boards: where boards stand, and their settings.
            ledger: what positions are of.
            history: what awards are selected from.
            archive: up to where awards are archived.
            corrector: what takes them back.
            new_id: makes the id of a plan.
            awards_max: awards of a plan, at most.
        """
        self._boards = boards
        self._ledger = ledger
        self._history = history
        self._archive = archive
        self._corrector = corrector
        self._new_id = new_id
        self._awards_max = awards_max
        self._planning = Slots(_PLANS_AT_ONCE, _PLANS_WAITING)
        self._applying = Slots(_PLANS_AT_ONCE, _PLANS_WAITING)
        self._running: dict[Hashable, asyncio.Task[Any]] = {}
        self._is_stopping = False

    async def plan(self, board_id: str, chosen: AwardFilter) -> ReversalPlan:
        """Return what an apply would change.

        Raises:
            InvalidRequestError: the filter selects too many awards.
        """
        return await self._share((board_id, chosen), partial(self._plan, board_id, chosen))

    async def apply(
        self,
        board_id: str,
        chosen: AwardFilter,
        plan_token: str,
        correction: Correction,
        *,
        timeout_seconds: float | None = None,
    ) -> AppliedPlan:
        """Take back what a plan has, from wherever it was left. One that runs in this process is joined.

        Args:
            board_id: the board.
            chosen: the filter of the plan.
            plan_token: of the plan.
            correction: who takes back, and why.
            timeout_seconds: how long the caller waits; None for any time. Half of it is used, and one
                page is done at least.

        Raises:
            AwardReversedError: one of its ids was used for an award that is not in it.
            InvalidRequestError: the token is none that was given here.
            PlanStaleError: filter, settings or history are not those of the plan, or awards that it may have
                selected were archived since.
        """
        token = read_plan_token(plan_token)
        if token.selection != name_selection(board_id, chosen):
            raise PlanStaleError
        seconds = _APPLY_SECONDS if timeout_seconds is None else min(_APPLY_SECONDS, timeout_seconds / 2)
        asked = _Apply(board_id, chosen, token, correction, seconds)
        return await self._share(token, partial(self._apply, asked))

    def stop(self) -> None:
        """Have every apply end with the page that it is at."""
        self._is_stopping = True

    async def finish(self) -> None:
        """Wait until every plan and every apply that was taken in has ended."""
        while self._running:
            await asyncio.wait(self._running.values())

    async def _share(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
        """Wait for the work of a key, which begins with the first who asks, and ends also if all have left.

        A caller that got no answer in time asks again, and would otherwise have it done twice at once.
        """
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.create_task(work(), name="reversal plan")
            running.add_done_callback(partial(self._leave, key))
        result: _Result = await asyncio.shield(running)
        return result

    def _leave(self, key: Hashable, run: "asyncio.Task[Any]") -> None:
        del self._running[key]
        error = None if run.cancelled() else run.exception()
        if error is not None and not isinstance(error, ScoreServiceError):
            _log.error("plan_failed", exc_info=error)  # Its callers may have given up.

    async def _plan(self, board_id: str, chosen: AwardFilter) -> ReversalPlan:
        async with self._planning.take():
            board = await self._find(board_id)
            found = await self._history.plan_reversals(board_id, chosen, board.position.revision)
        if found.awards > self._awards_max:
            raise InvalidRequestError({"filter": f"must select at most {self._awards_max} awards"})
        token = PlanToken(
            str(self._new_id()),
            board.position,
            board.settings_revision,
            name_selection(board_id, chosen),
            found.awards,
            found.points,
            found.users,
        )
        return ReversalPlan(token, found)

    async def _apply(self, asked: _Apply) -> AppliedPlan:
        token = asked.token
        async with self._applying.take():
            board = await self._find(asked.board_id)
            is_current = board.settings_revision == token.settings_revision
            if not is_current or not await self._ledger.has_position(asked.board_id, token.position):
                raise PlanStaleError
            if await self._has_archived(asked):
                raise PlanStaleError
            left = await self._apply_pages(asked)
        applied = AppliedPlan(token, max(0, token.awards - left))
        _log.info(
            "plan_applied",
            board_id=asked.board_id,
            plan_id=token.plan_id,
            awards=token.awards,
            reversed=applied.reversed,
            on_behalf_of=asked.correction.on_behalf_of,
        )
        return applied

    async def _has_archived(self, asked: _Apply) -> bool:
        """Return whether awards that the plan may have selected were archived after it was made.

        Those of a filter that begins after the cut were not.
        """
        cut = await self._archive.read_cut(asked.board_id)
        if cut is None or (cut.entry_revision or 0) <= asked.token.position.revision:
            return False
        recorded_from = asked.chosen.recorded_from
        return recorded_from is None or cut.committed_at is None or recorded_from <= cut.committed_at

    async def _apply_pages(self, asked: _Apply) -> int:
        """Reverse page after page while there is time, and return how many awards are left."""
        clock, following = asyncio.get_running_loop().time, None
        until = clock() + asked.seconds
        page = await self._select(asked, 0, PAGE_MAX)
        try:
            while page:
                after = page[-1].revision
                # The next page is looked for while this one is written; its ranks follow during the next one.
                changes, page = await asyncio.gather(
                    self._reverse(asked, page), self._select(asked, after, PAGE_MAX)
                )
                if following:
                    await following
                following = asyncio.create_task(self._corrector.follow(changes))
                if page and (self._is_stopping or clock() >= until):
                    return await self._count(asked, after)
        finally:
            if following:
                await following
        return 0

    async def _count(self, asked: _Apply, after: int) -> int:
        count = 0
        while page := await self._select(asked, after, _COUNTED_MAX):
            count += len(page)
            after = page[-1].revision
        return count

    async def _select(self, asked: _Apply, after: int, limit: int) -> Sequence[SelectedAward]:
        upto = asked.token.position.revision
        return await self._history.select_awards(asked.board_id, asked.chosen, after, upto, limit)

    async def _reverse(self, asked: _Apply, page: Sequence[SelectedAward]) -> Changes:
        token, by = asked.token, asked.correction
        requests = [
            ReversalRequest(award.award_id, token.reversal_id(award.award_id), by.reason, by.on_behalf_of)
            for award in page
        ]
        batch = await self._corrector.reverse_page(
            asked.board_id, requests, actor=by.actor, trace_id=by.trace_id
        )
        for request, result in zip(requests, batch.results, strict=True):
            if isinstance(result, AwardArchived):
                raise PlanStaleError
            # Another reversal of the award itself is as good.
            if isinstance(result, ReversalConflict) and result.standing.award_id != request.award_id:
                raise AwardReversedError(result.standing)
        return batch.changes

    async def _find(self, board_id: str) -> StoredBoard:
        board = await self._boards.find(board_id)
        if board is None:
            raise BoardNotFoundError
        return board
