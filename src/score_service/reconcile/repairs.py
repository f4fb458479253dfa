"""Repairs of boards: each brings a projection to the head of the ledger, in a task of its own.

A board is repaired once at a time in a process, and callers may stop waiting for a repair. Of the
boards that are far behind, two are repaired at once, so that the others need not wait.
"""

import asyncio
import time
from contextvars import Context
from functools import partial
from typing import Final

from score_service.domain.ledger.award import MAX_BATCH
from score_service.domain.ledger.position import Position
from score_service.errors import ProjectionUnavailableError, RecordUnavailableError
from score_service.projection.projection import Projection
from score_service.projection.replies import Header, PositionMismatch
from score_service.reconcile.failures import log_failure
from score_service.reconcile.headers import Headers, revisions_behind
from score_service.reconcile.rebuild.backoff import Backoff
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.record.ledger import Ledger
from service_runtime.lifecycle import end_tasks
from service_runtime.telemetry.throttle import Throttle

_ATTEMPTS_MAX: Final = 100
"""How often another process may be faster before a repair gives up; that process goes on meanwhile."""
_NEAR_MAX: Final = 10 * MAX_BATCH
"""Revisions by which a board may be behind and always be caught up along the ledger."""
_STANDINGS_A_REVISION: Final = 4
"""How many standings are rebuilt while one revision of the ledger is caught up, or more."""
_LARGE: Final = 100_000
"""A repair is large where the board is behind by more revisions than that."""
_LARGE_AT_ONCE: Final = 2
_SMALL_AT_ONCE: Final = 8
_FAILURES_LOGGED: Final = 10
"""A second: where Redis rejects writes, every board that is behind fails at every scan."""


class Repairs:
    """The repairs of this process, one a board."""

    def __init__(self, ledger: Ledger, projection: Projection, rebuilder: Rebuilder) -> None:
        self._ledger = ledger
        self._projection = projection
        self._rebuilder = rebuilder
        self._headers = Headers(ledger, projection)
        self._tasks: dict[str, asyncio.Task[Position]] = {}
        self._backoff = Backoff(time.monotonic)
        self._ended = False
        self._failures = Throttle(_FAILURES_LOGGED, time.monotonic)
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)
        self._small = asyncio.Semaphore(_SMALL_AT_ONCE)
        self.rebuilt = 0
        """Rebuilds that this process has switched in."""
        self.given_up = 0
        """Rebuilds for nothing: another process was faster, or a store stepped back meanwhile."""

    def __len__(self) -> int:
        """Return how many have begun and not ended."""
        return len(self._tasks)

    def find(self, board_id: str) -> asyncio.Task[Position] | None:
        """Return the repair of a board that has begun and not ended."""
        return self._tasks.get(board_id)

    def begin(self, board_id: str) -> asyncio.Task[Position]:
        """Begin to bring a board to the head, or return the repair that does.

        Raises:
            ProjectionUnavailableError: the process ends.
        """
        if self._ended:
            raise ProjectionUnavailableError
        task = self._tasks.get(board_id)
        if task is None:
            task = asyncio.create_task(self._repair(board_id), name="repair", context=Context())
            self._tasks[board_id] = task
            # The call that began it is not why it fails, so the log does not name that call either.
            task.add_done_callback(partial(self._note_end, board_id), context=Context())
        return task

    def _note_end(self, board_id: str, task: asyncio.Task[Position]) -> None:
        del self._tasks[board_id]
        error = None if task.cancelled() else task.exception()
        if error and self._failures.let_through() is not None:
            log_failure(error, board_id)

    async def end(self) -> None:
        """Cancel all repairs, and begin no other."""
        self._ended = True
        await end_tasks(*self._tasks.values())

    async def _repair(self, board_id: str) -> Position:
        header = await self._headers.find(board_id)  # One that nobody must read is dropped now.
        head = await self._ledger.read_head(board_id)
        async with self._large if revisions_behind(header, head.revision) > _LARGE else self._small:
            for _ in range(_ATTEMPTS_MAX):
                header = await self._headers.find(board_id)
                if header is None or _is_rebuilt_faster(header, head):
                    position = await self._rebuild(board_id)
                else:
                    position = header.position
                if reached := await self._replay(board_id, position):
                    return reached
        raise ProjectionUnavailableError

    async def _rebuild(self, board_id: str) -> Position:
        """Rebuild a board, unless another process does so already; a later scan sees what has become of it.

        When Redis is lost, every process finds every board missing. Each would load a copy of all of them.
        """
        if await self._projection.is_being_made(board_id):
            raise ProjectionUnavailableError("Another process rebuilds it.")
        if not self._backoff.is_due(board_id):
            raise ProjectionUnavailableError("Its rebuilds keep failing, and the next one is not due.")
        # Where this fails, nothing is filled in vain, and the rebuild need not wait once writes are accepted.
        await self._projection.require_writes(board_id)
        try:
            rebuilt = await self._rebuilder.rebuild(board_id)
        except (ProjectionUnavailableError, RecordUnavailableError):
            self._backoff.fail(board_id)
            raise
        if rebuilt is not None:
            self._backoff.succeed(board_id)
            self.rebuilt += 1
            return rebuilt.position
        self.given_up += 1
        header = await self._headers.find(board_id)
        if header is None:
            self._backoff.fail(board_id)
            raise ProjectionUnavailableError
        return header.position

    async def _replay(self, board_id: str, position: Position) -> Position | None:
        """Apply the ledger from a position to its end; None where the projection is not there any more."""
        while changes := await self._ledger.read_changes(board_id, position):
            if isinstance(await self._projection.apply_changes(changes), PositionMismatch):
                return None
            position = changes.after
        return position


def is_near(header: Header | None, revision: int) -> bool:
    """Return whether a board is so little behind a revision that it is always caught up along the ledger."""
    return revisions_behind(header, revision) <= _NEAR_MAX


def _is_rebuilt_faster(header: Header, head: Position) -> bool:
    return revisions_behind(header, head.revision) > _NEAR_MAX + header.standings // _STANDINGS_A_REVISION
