"""Moves the projection along the ledger: right after a commit, and in a loop whatever was left behind.

Invariants:
- Only positions of the record are applied. A projection that is ahead of the record or of another history,
  or whose keys are not whole, is dropped as soon as it is seen, and then made anew by `rebuilder.py`.
- A board is repaired once at a time in a process, in a task of its own: whoever waits for it may stop
  waiting. Of the boards with much to make up, two are repaired at once, so that the others need not wait.

Any number of these may work on the same boards at once: the scripts compare and set.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

import structlog

from score_service.domain.award import MAX_BATCH
from score_service.domain.changes import Changes
from score_service.domain.position import Position
from score_service.errors import BoardNotFoundError, ProjectionUnavailableError, RecordUnavailableError
from score_service.projection.projection import Applied, Elsewhere, Header, Projection
from score_service.reconcile.rebuilder import Rebuilder
from score_service.record.ledger import Ledger

_BOARDS_A_LOOK: Final = 500
_BOARDS_KNOWN_MAX: Final = 100_000
_STEPS_LOST_MAX: Final = 100
"""How often another projector may be faster before one gives up; it works on meanwhile."""
_NEAR_MAX: Final = 10 * MAX_BATCH
"""Revisions by which a board may be behind and always be caught up along the ledger."""
_MEMBERS_A_REVISION: Final = 4
"""How many standings are rebuilt while one revision of the ledger is caught up, or more."""
_LARGE: Final = 100_000
"""A board behind by more revisions than that has much to make up."""
_LARGE_AT_ONCE: Final = 2
_SMALL_AT_ONCE: Final = 8
_LOOKS_AT_ONCE: Final = 8
_REPAIRS_MAX: Final = 1_000
"""Repairs that the loop begins before others have ended."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Sight:
    """A board as the loop sees it."""

    board_id: str
    head: Position
    header: Header | None

    @property
    def is_in_order(self) -> bool:
        header = self.header
        return header is not None and header.is_whole and header.position == self.head


class Projector:
    """Keeps the projection at the head of the ledger."""

    def __init__(
        self, ledger: Ledger, projection: Projection, rebuilder: Rebuilder, *, patience: float = 3.0
    ) -> None:
        """Take how many seconds a caller waits to be caught up, at most; the repair takes its time."""
        self._ledger = ledger
        self._projection = projection
        self._rebuilder = rebuilder
        self._patience = patience
        self._repairs: dict[str, asyncio.Task[Position]] = {}
        self._confirmations: dict[str, asyncio.Task[None]] = {}
        self._ended = False
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)
        self._small = asyncio.Semaphore(_SMALL_AT_ONCE)
        self._known = set[str]()
        """Boards that the record had at the last whole look, or when they were asked for since."""
        self.lag = math.nan
        """Revisions by which the board furthest behind was behind at the last look; NaN where it failed."""
        self.looks = 0
        """Looks that told the lag."""
        self.rebuilt = 0
        """Rebuilds that this process has switched in."""
        self.given_up = 0
        """Rebuilds for nothing: another process was faster, or a store stepped back meanwhile."""

    @asynccontextmanager
    async def running(self, interval: float) -> AsyncIterator[Self]:
        """Look at every board each `interval` seconds, and bring those behind to the head."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            loop = tasks.create_task(self._run(interval, stop), name="projector")
            try:
                yield self
            finally:
                stop.set()
                loop.cancel()
                await self._end_repairs()

    async def project(self, changes: Changes) -> dict[str, int]:
        """Bring a board's projection to `changes.after` or further, unless it has much to make up.

        Returns:
            The ranks of the users that changed, best 1; without those that Redis does not tell any more, and
            without any while the board is being repaired.

        Raises:
            ProjectionUnavailableError: Redis is unavailable. The loop will catch up.
            RecordUnavailableError: PostgreSQL is unavailable, and was needed to fill a gap.
        """
        outcome = await self._projection.apply_changes(changes)
        if isinstance(outcome, Applied):
            return outcome.ranks
        board_id, after = changes.board_id, changes.after.revision
        header = await self._rebuilder.find_header(board_id)
        if _behind(header, after):
            if _behind(header, after) > _NEAR_MAX:
                self._repair(board_id)
                return {}
            await self.catch_up(board_id)
        user_ids = [change.user_id for change in changes.changes]
        return await self.ranks_at(board_id, user_ids, after)

    async def ranks_at(self, board_id: str, user_ids: Sequence[str], revision: int) -> dict[str, int]:
        """Return the ranks of users at a revision or later.

        Returns:
            The ranks, best 1; without those that are not known, and without any while the board is being
            made anew.

        Raises:
            ProjectionUnavailableError: Redis is unavailable, or has much to make up.
            RecordUnavailableError: PostgreSQL is unavailable, and was needed.
        """
        reading = await self._projection.get_standings(board_id, user_ids)
        if reading is not None and reading.position.revision < revision:
            await self.catch_up(board_id)
            reading = await self._projection.get_standings(board_id, user_ids)
        if reading is None:
            self._repair(board_id)
        if reading is None or reading.position.revision < revision:
            return {}
        return {standing.user_id: standing.rank for standing in reading.users if standing.rank}

    async def catch_up(self, board_id: str) -> Position:
        """Bring a board's projection to the head of its ledger, from wherever it stands.

        Returns:
            The position that it reached.

        Raises:
            BoardNotFoundError: no award was ever made on the board.
            ProjectionUnavailableError: Redis is unavailable, or so far behind that it takes longer; or the
                process ends.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        try:
            async with asyncio.timeout(self._patience):
                if earlier := self._repairs.get(board_id):
                    # It may have looked at the head before what the caller knows of was written.
                    await asyncio.wait([earlier])
                repair = self._repair(board_id)
                await asyncio.wait([repair])
        except TimeoutError:
            raise ProjectionUnavailableError from None
        if repair.cancelled():
            raise ProjectionUnavailableError
        return repair.result()

    async def confirm(self, board_id: str) -> None:
        """Make sure that the record has a board. What Redis has of one that it has not is dropped.

        It asks the record only for boards that were not there at the last look, in a task of its own: whoever
        waits may stop waiting. While the record is unavailable, a board is taken to be there.

        Raises:
            BoardNotFoundError: the record does not have the board.
            ProjectionUnavailableError: Redis is unavailable, and was needed.
        """
        if board_id in self._known:
            return
        task = self._confirmations.get(board_id)
        if task is None:
            task = asyncio.create_task(self._confirm(board_id), name="confirmation", context=Context())
            self._confirmations[board_id] = task
            task.add_done_callback(partial(self._end_confirmation, board_id))
        await asyncio.shield(task)

    def _end_confirmation(self, board_id: str, task: asyncio.Task[None]) -> None:
        del self._confirmations[board_id]
        if not task.cancelled():
            task.exception()  # Whoever waited has been told, or has left.

    async def _confirm(self, board_id: str) -> None:
        try:
            await self._ledger.read_head(board_id)
        except BoardNotFoundError:
            await self._rebuilder.find_header(board_id)
            raise
        except RecordUnavailableError as error:
            _note(error, board_id)
        self._know(board_id)

    def _repair(self, board_id: str) -> asyncio.Task[Position]:
        """Begin to bring a board to the head, or find the task that does."""
        if self._ended:
            raise ProjectionUnavailableError
        task = self._repairs.get(board_id)
        if task is None:
            task = asyncio.create_task(self._catch_up(board_id), name="repair", context=Context())
            self._repairs[board_id] = task
            task.add_done_callback(partial(self._note_end, board_id))
        return task

    def _note_end(self, board_id: str, task: asyncio.Task[Position]) -> None:
        del self._repairs[board_id]
        if not task.cancelled() and (error := task.exception()):
            _note(error, board_id)

    async def _end_repairs(self) -> None:
        self._ended = True
        while repairs := list(self._repairs.values()):
            for repair in repairs:
                repair.cancel()
            # A library may lose a cancellation, so one that goes on is cancelled again.
            await asyncio.wait(repairs, timeout=1)

    async def _catch_up(self, board_id: str) -> Position:
        header = await self._rebuilder.find_header(board_id)  # One that nobody must read is dropped now.
        head = await self._ledger.read_head(board_id)
        async with self._large if _behind(header, head.revision) > _LARGE else self._small:
            for _ in range(_STEPS_LOST_MAX):
                header = await self._rebuilder.find_header(board_id)
                if header is None or _is_rebuilt_faster(header, head):
                    position = await self._rebuild(board_id)
                else:
                    position = header.position
                if reached := await self._walk(board_id, position):
                    return reached
        raise ProjectionUnavailableError

    async def _rebuild(self, board_id: str) -> Position:
        """Make a board anew, unless another process does so already; a later look sees what has become of it.

        When Redis is lost, every process finds every board missing. Each would load a copy of all of them.
        """
        if await self._projection.is_being_made(board_id):
            raise ProjectionUnavailableError("Another process makes it anew.")
        rebuilt = await self._rebuilder.rebuild(board_id)
        if rebuilt is not None:
            self.rebuilt += 1
            return rebuilt.position
        self.given_up += 1
        header = await self._rebuilder.find_header(board_id)
        if header is None:
            raise ProjectionUnavailableError
        return header.position

    async def _walk(self, board_id: str, position: Position) -> Position | None:
        """Apply the ledger from a position to its end; None where the projection stands elsewhere by now."""
        while changes := await self._ledger.read_changes(board_id, position):
            if isinstance(await self._projection.apply_changes(changes), Elsewhere):
                return None
            position = changes.after
        return position

    async def _run(self, interval: float, stop: asyncio.Event) -> None:
        """Look again and again; what is unavailable now is there at some later look.

        The event ends the loop also where a library has lost the cancellation.
        """
        while not stop.is_set():
            try:
                self.lag = await self._look(stop)
                self.looks += not math.isnan(self.lag)
            except Exception as error:  # noqa: BLE001 - Told below; the loop must not end.
                self.lag = math.nan
                _note(error)
            await asyncio.sleep(interval)

    async def _look(self, stop: asyncio.Event) -> float:
        """Look at every board, and tell by how many revisions the one furthest behind is behind.

        It is not known, NaN, where a part of Redis is unavailable.
        """
        lag, is_whole, after, known = 0, True, "", set[str]()
        while not stop.is_set() and (heads := await self._ledger.list_heads(after, _BOARDS_A_LOOK)):
            sights = await self._list_sights(heads)
            is_whole = is_whole and len(sights) == len(heads)
            lag = max([lag, *(_behind(sight.header, sight.head.revision) for sight in sights)])
            suspects = [sight for sight in sights if not sight.is_in_order]
            for first in range(0, len(suspects), _LOOKS_AT_ONCE):
                await asyncio.gather(*map(self._look_at, suspects[first : first + _LOOKS_AT_ONCE]))
            after, _ = heads[-1]
            known.update(board_id for board_id, _ in heads[: _BOARDS_KNOWN_MAX - len(known)])
        if not stop.is_set():
            await self._forget(self._known - known)
            self._known = known
        return lag if is_whole else math.nan

    async def _look_at(self, sight: _Sight) -> None:
        """Repair a board, unless it has reached meanwhile what was the head.

        Its header is read again, after the head, so one that is ahead may be of the record's future.
        """
        header = await self._rebuilder.find_header(sight.board_id)
        is_there = header is not None and header.position.revision >= sight.head.revision
        if not is_there and len(self._repairs) < _REPAIRS_MAX:
            self._repair(sight.board_id)

    async def _forget(self, board_ids: set[str]) -> None:
        """Drop what Redis has of boards that were in the record and are not any more."""
        for board_id in board_ids:
            await self._rebuilder.find_header(board_id)

    async def _list_sights(self, heads: Sequence[tuple[str, Position]]) -> list[_Sight]:
        headers = await self._projection.read_headers([board_id for board_id, _ in heads])
        return [_Sight(board_id, head, headers[board_id]) for board_id, head in heads if board_id in headers]

    def _know(self, board_id: str) -> None:
        if len(self._known) < _BOARDS_KNOWN_MAX:
            self._known.add(board_id)


def _behind(header: Header | None, revision: int) -> int:
    """Return by how many revisions a board is behind one; a broken board is behind by all."""
    return max(0, revision - (header.position.revision if header and header.is_whole else 0))


def _is_rebuilt_faster(header: Header, head: Position) -> bool:
    return _behind(header, head.revision) > _NEAR_MAX + header.members // _MEMBERS_A_REVISION


def _note(error: BaseException, board_id: str = "") -> None:
    """Log why a look or a repair failed; one of the next will do it."""
    if isinstance(error, (BoardNotFoundError, ProjectionUnavailableError, RecordUnavailableError)):
        _log.warning("reconcile_interrupted", board_id=board_id, kind=type(error).__name__, why=str(error))
    else:
        _log.error("reconcile_failed", board_id=board_id, exc_info=error)
