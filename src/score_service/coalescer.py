"""Gathers the awards of a board into batches, and takes each batch through two stages: commit, then answer.

Invariants:
- Each stage of a board holds one batch at most. While one is answered the next is committed and more awards
  gather. No award waits for a timer: an idle board commits at once.
- A batch runs in a task of its own. A caller that gives up only stops waiting.
- An award that cannot be committed fails alone, not its batch.
- The number of awards taken in and not yet answered is bounded.

It knows what a batch is, and nothing of what its stages do.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import structlog

from score_service.award import Award, AwardOutcome
from score_service.errors import OverloadedError, RecordUnavailableError
from score_service.ledger import RecordedBatch

BATCH_MAX: Final = 256
"""Awards in one commit. Larger ones hold the board's lock longer and gain little."""
WAITING_MAX: Final = 20_000
"""Awards that wait in this process, of all boards together: a second or two of its work."""

Commit: TypeAlias = Callable[[str, Sequence[Award]], Awaitable[RecordedBatch]]
"""Writes awards of one board. Raises RecordUnavailableError, or what is wrong with one of them."""
Answer: TypeAlias = Callable[[Sequence[Award], RecordedBatch], Awaitable[Sequence[AwardOutcome | Exception]]]
"""Tells the outcome of each award of a commit, in order."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An award, and where its outcome goes."""

    award: Award
    outcome: "asyncio.Future[AwardOutcome]"

    def settle(self, outcome: AwardOutcome | Exception) -> None:
        if isinstance(outcome, AwardOutcome):
            self.outcome.set_result(outcome)
            return
        self.outcome.set_exception(outcome)
        # Whoever waited may have left; asyncio must not take the failure for one that nobody was told.
        self.outcome.exception()


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

    def submit(self, award: Award) -> "asyncio.Future[AwardOutcome]":
        """Take in an award.

        Returns:
            Its outcome to come, which may be waited for and must not be cancelled. It fails with
            RecordUnavailableError where the outcome is unknown, or with what is wrong with the award.

        Raises:
            OverloadedError: too many wait; this one was not taken in.
        """
        if self.waiting >= self._waiting_max:
            raise OverloadedError
        waiting = _Waiting(award, asyncio.get_running_loop().create_future())
        self._board(award.board_id).waiting.append(waiting)
        self.waiting += 1
        return waiting.outcome

    async def finish(self) -> None:
        """Wait until every award that was taken in is answered."""
        while self._boards:
            await asyncio.wait([board.task for board in self._boards.values()])

    def _board(self, board_id: str) -> _Board:
        board = self._boards.get(board_id)
        if board is None:
            task = asyncio.create_task(self._work(board_id), name="coalescer")
            board = self._boards[board_id] = _Board(task)
        return board

    async def _work(self, board_id: str) -> None:
        """Take batches through both stages until nothing waits."""
        queue = self._boards[board_id].waiting
        answering: asyncio.Task[None] | None = None
        while queue or answering:
            batch = [queue.popleft() for _ in range(min(self._batch_max, len(queue)))]
            committed = await self._committed(board_id, batch) if batch else []
            if answering:
                await answering
            answering = asyncio.create_task(self._answered(committed)) if committed else None
        del self._boards[board_id]

    async def _committed(self, board_id: str, batch: _Batch) -> list[tuple[_Batch, RecordedBatch]]:
        """Commit a batch; where one of its awards spoils it, its halves, down to that award."""
        try:
            return [(batch, await self._commit(board_id, [waiting.award for waiting in batch]))]
        except RecordUnavailableError:
            self._settle(batch, [RecordUnavailableError() for _ in batch])
            return []
        except Exception as error:  # noqa: BLE001 - Logged whole, and told to whom it belongs.
            if len(batch) > 1:
                half = len(batch) // 2
                first = await self._committed(board_id, batch[:half])
                return [*first, *await self._committed(board_id, batch[half:])]
            _log.exception("award failed")
            self._settle(batch, [error])
            return []

    async def _answered(self, committed: Sequence[tuple[_Batch, RecordedBatch]]) -> None:
        for batch, recorded in committed:
            try:
                outcomes = await self._answer([waiting.award for waiting in batch], recorded)
            except Exception as error:  # noqa: BLE001 - Logged whole, and told to all: nobody may wait for ever.
                _log.exception("batch not answered")
                outcomes = [error] * len(batch)
            self._settle(batch, outcomes)

    def _settle(self, batch: _Batch, outcomes: Sequence[AwardOutcome | Exception]) -> None:
        for waiting, outcome in zip(batch, outcomes, strict=True):
            waiting.settle(outcome)
        self.waiting -= len(batch)
