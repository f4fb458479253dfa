"""Gathers the awards of a board into batches, and takes each batch through two stages: commit, then answer.

Invariants:
- Each stage of a board holds one batch at most. While one is answered, what had gathered is committed, and
  more awards gather. An idle board commits at once. No award waits for a timer, except where many callers
  were in the batch before: then it waits for those on their way, while each millisecond brings some.
- A batch runs in a task of its own. A caller that gives up only stops waiting.
- An award that cannot be committed fails alone, not its batch.
- The number of awards taken in and not yet answered is bounded.

It knows what a batch is, and nothing of what its stages do.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

import structlog
from opentelemetry.trace import Span

from score_service import tracing
from score_service.domain.ledger.award import Award, AwardOutcome
from score_service.errors import OverloadedError, RecordUnavailableError
from score_service.record.ledger import RecordedBatch
from service_runtime.batching.crowd import gather_arriving
from service_runtime.telemetry.tracing import current_span, inside

BATCH_MAX: Final = 256
"""Awards in one commit. Larger ones hold the board's lock longer and gain little."""
WAITING_MAX: Final = 5_000
"""Awards that wait in this process, of all boards together: half a second of its work."""

Commit: TypeAlias = Callable[[str, Sequence[Award]], Awaitable[RecordedBatch]]
"""Writes awards of one board. Raises RecordUnavailableError, or what is wrong with one of them."""
AwardReply: TypeAlias = AwardOutcome | Exception
Answer: TypeAlias = Callable[[Sequence[Award], RecordedBatch], Awaitable[Sequence[AwardReply]]]
"""Returns the outcome of each award of a commit, in order."""

_CROWD: Final = 8
"""Callers in a batch from which on others are on their way: they call again once they are answered."""
_NAP_SECONDS: Final = 0.001

_log = structlog.get_logger(__name__)


class _Asked:
    """Awards that were asked for together, and what has become of them."""

    __slots__ = ("_left", "_outcomes", "done", "span")

    def __init__(self, count: int) -> None:
        self.done: asyncio.Future[list[AwardReply]] = asyncio.get_running_loop().create_future()
        self.span = current_span()
        self._outcomes: list[AwardReply] = [OverloadedError()] * count
        self._left = count

    def settle(self, offset: int, outcome: AwardReply) -> None:
        self._outcomes[offset] = outcome
        self.leave(1)

    def leave(self, count: int) -> None:
        """Count awards whose outcome stands."""
        self._left -= count
        if self._left == 0 and not self.done.done():  # Its caller may have given up.
            self.done.set_result(self._outcomes)


class _Waiting(NamedTuple):
    """An award, and where its outcome goes."""

    award: Award
    asked: _Asked
    offset: int
    """Among those asked for together."""


_Batch: TypeAlias = Sequence[_Waiting]


@dataclass(slots=True)
class _Board:
    """The awards of one board that wait, and the task that works on them."""

    task: "asyncio.Task[None]"
    waiting: deque[_Waiting] = field(default_factory=deque)


class Coalescer:
    """Batches of awards on their way through one process."""

    def __init__(
        self, commit: Commit, answer: Answer, *, batch_max: int = BATCH_MAX, waiting_max: int = WAITING_MAX
    ) -> None:
        self._commit = commit
        self._answer = answer
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._boards: dict[str, _Board] = {}
        self.waiting = 0
        """Awards taken in and not yet answered."""

    @property
    def is_full(self) -> bool:
        """Whether not one more award is taken in."""
        return self.waiting >= self._waiting_max

    def submit(self, awards: Sequence[Award]) -> "asyncio.Future[list[AwardReply]]":
        """Take in awards, of any boards.

        Returns:
            Their outcomes to come, in order. To cancel it is to stop waiting, and no more. What is no
            `AwardOutcome` is RecordUnavailableError where the outcome is unknown, OverloadedError where too
            many awards wait and this one was not taken in, or what is wrong with the award.
        """
        asked = _Asked(len(awards))
        room = max(0, self._waiting_max - self.waiting)
        for offset, award in enumerate(awards[:room]):
            self._board(award.board_id).waiting.append(_Waiting(award, asked, offset))
        self.waiting += min(room, len(awards))
        asked.leave(max(0, len(awards) - room))
        return asked.done

    async def finish(self) -> None:
        """Wait until every award that was taken in is answered."""
        while self._boards:
            await asyncio.wait([board.task for board in self._boards.values()])

    def _board(self, board_id: str) -> _Board:
        board = self._boards.get(board_id)
        if board is None:
            # What is logged of a batch belongs to no one call.
            task = asyncio.create_task(self._work(board_id), name="coalescer", context=Context())
            board = self._boards[board_id] = _Board(task)
        return board

    async def _work(self, board_id: str) -> None:
        """Take batches through both stages until nothing waits."""
        queue = self._boards[board_id].waiting
        answering: asyncio.Task[None] | None = None
        callers = 0
        while queue or answering:
            batch = await self._gathered(queue, callers)
            callers = len({id(waiting.asked) for waiting in batch})
            span = tracing.begin_batch((waiting.asked.span for waiting in batch), len(batch))
            with inside(span):
                committed = await self._committed(board_id, batch) if batch else []
            if answering:
                await answering
            answering = asyncio.create_task(self._answered(committed, span)) if batch else None
        del self._boards[board_id]

    async def _gathered(self, queue: deque[_Waiting], callers_before: int) -> _Batch:
        """Take the next batch, once it is full or hardly any more come.

        Where this process is busy taking calls in, commits of a few awards each would take most of its time.
        """
        if callers_before >= _CROWD:
            await self._gather_crowd(queue)
        else:
            await gather_arriving(queue.__len__, self._batch_max)
        return [queue.popleft() for _ in range(min(self._batch_max, len(queue)))]

    async def _gather_crowd(self, queue: deque[_Waiting]) -> None:
        """Wait until a moment brought in no more."""
        seen = 0
        while seen < len(queue) < self._batch_max:
            seen = len(queue)
            await asyncio.sleep(_NAP_SECONDS)

    async def _committed(self, board_id: str, batch: _Batch) -> list[tuple[_Batch, RecordedBatch]]:
        """Commit a batch; where one of its awards spoils it, its halves, down to that award."""
        try:
            return [(batch, await self._commit(board_id, [waiting.award for waiting in batch]))]
        except RecordUnavailableError:
            self._settle(batch, [RecordUnavailableError()] * len(batch))
            return []
        except Exception as error:  # noqa: BLE001 - Logged whole, and given to its caller.
            if len(batch) > 1:
                half = len(batch) // 2
                first = await self._committed(board_id, batch[:half])
                return [*first, *await self._committed(board_id, batch[half:])]
            award = batch[0].award
            _log.exception(
                "award_failed",
                board_id=board_id,
                award_id=award.award_id,
                caller=award.caller,
                trace_id=award.trace_id,
            )
            self._settle(batch, [error])
            return []

    async def _answered(self, committed: Sequence[tuple[_Batch, RecordedBatch]], span: Span) -> None:
        with inside(span):
            for batch, recorded in committed:
                try:
                    outcomes: Sequence[AwardReply] = await self._answer([w.award for w in batch], recorded)
                except Exception as error:  # noqa: BLE001 - Logged whole, and given to all: none may wait for ever.
                    _log.exception("batch_failed", board_id=batch[0].award.board_id)
                    outcomes = [error] * len(batch)
                self._settle(batch, outcomes)
        span.end()

    def _settle(self, batch: _Batch, outcomes: Sequence[AwardReply]) -> None:
        for waiting, outcome in zip(batch, outcomes, strict=True):
            waiting.asked.settle(waiting.offset, outcome)
        self.waiting -= len(batch)
