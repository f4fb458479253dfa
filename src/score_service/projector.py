"""Moves the projection along the ledger: right after a commit, and in a loop whatever was left behind.

Invariants:
- The projection's header is read before the record, so a header that the record does not have is one of
  another history, never one of the future.
- Only positions of the record are applied. A projection of another history is dropped and made again
  from the start of the ledger.

Any number of these may work on the same boards at once: the script that applies compares and sets.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self
from weakref import WeakValueDictionary

import structlog

from score_service.changes import Changes
from score_service.errors import ProjectionUnavailableError, RecordUnavailableError
from score_service.ledger import Ledger
from score_service.position import Position
from score_service.projection import Elsewhere, Header, Projection

_BOARDS_A_LOOK: Final = 500
_STEPS_LOST_MAX: Final = 100
"""How often another projector may be faster before one gives up; it works on meanwhile."""

_log = structlog.get_logger(__name__)


class Projector:
    """Keeps the projection at the head of the ledger."""

    def __init__(self, ledger: Ledger, projection: Projection, *, patience: float = 3.0) -> None:
        """Take how many seconds a caller waits to be caught up, at most; the loop takes its time."""
        self._ledger = ledger
        self._projection = projection
        self._patience = patience
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.lag = 0
        """Revisions by which the board furthest behind was behind at the last look."""

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

    async def project(self, changes: Changes) -> dict[str, int]:
        """Bring a board's projection to `changes.after` or further.

        Returns:
            The ranks of the users that changed, best 1; without those that Redis does not tell any more.

        Raises:
            ProjectionUnavailableError: Redis is away. The loop will catch up.
            RecordUnavailableError: PostgreSQL is away, and was needed to fill a gap.
        """
        outcome = await self._projection.apply_changes(changes)
        if isinstance(outcome, Elsewhere):
            await self.catch_up(changes.board_id)
            users = [change.user_id for change in changes.changes]
            reading = await self._projection.get_standings(changes.board_id, users)
            standings = (
                reading.users if reading and reading.position.revision >= changes.after.revision else ()
            )
            return {standing.user_id: standing.rank for standing in standings if standing.rank}
        return outcome.ranks

    async def catch_up(self, board_id: str) -> Position:
        """Bring a board's projection to the head of its ledger, from wherever it stands.

        Returns:
            The position that it reached.

        Raises:
            BoardNotFoundError: no award was ever made on the board.
            ProjectionUnavailableError: Redis is away, or so far behind that it takes longer.
            RecordUnavailableError: PostgreSQL is away.
        """
        try:
            async with asyncio.timeout(self._patience):
                return await self._catch_up(board_id)
        except TimeoutError:
            raise ProjectionUnavailableError from None

    async def _catch_up(self, board_id: str) -> Position:
        async with self._locks.setdefault(board_id, asyncio.Lock()):
            return await self._walk(board_id)

    async def _walk(self, board_id: str) -> Position:
        header = await self._projection.read_header(board_id)
        await self._ledger.read_head(board_id)  # A board that does not exist has nothing to catch up to.
        position = await self._checked(board_id, header)
        for _ in range(_STEPS_LOST_MAX):
            while changes := await self._ledger.read_changes(board_id, position):
                outcome = await self._projection.apply_changes(changes)
                if isinstance(outcome, Elsewhere):
                    header = await self._projection.read_header(board_id)
                    position = await self._checked(board_id, header)
                    break
                position = changes.after
            else:
                return position
        raise ProjectionUnavailableError

    async def _checked(self, board_id: str, header: Header | None) -> Position:
        """Tell where to go on: at the header if the record knows its position, else at the start."""
        if header is not None:
            if await self._ledger.has_position(board_id, header.position):
                return header.position
            _log.warning("projection of another history dropped", position=str(header.position))
            await self._projection.drop_board(board_id, header)
        return Position.start(board_id)

    async def _run(self, interval: float, stop: asyncio.Event) -> None:
        """Look again and again; what is away now is there at some later look.

        The event ends the loop also where a library has lost the cancellation.
        """
        while not stop.is_set():
            async with _logged():
                await self._look(stop)
            await asyncio.sleep(interval)

    async def _look(self, stop: asyncio.Event) -> None:
        lag, after = 0, ""
        while boards := await self._list_boards(after):
            for board_id, head, header in boards:
                if stop.is_set():
                    return
                lag = max(lag, head.revision - (header.position.revision if header else 0))
                async with _logged():
                    await self._look_at(board_id, head, header)
            after = boards[-1][0]
        self.lag = lag

    async def _look_at(self, board_id: str, head: Position, header: Header | None) -> None:
        """Bring a board on, unless its header is the head, or one that the record has reached since."""
        if header is not None:
            if header.position == head:
                return
            is_ahead = header.position.revision > head.revision
            if is_ahead and await self._ledger.has_position(board_id, header.position):
                return
        await self._catch_up(board_id)

    async def _list_boards(self, after: str) -> list[tuple[str, Position, Header | None]]:
        heads = await self._ledger.list_heads(after, _BOARDS_A_LOOK)
        headers = await self._projection.read_headers([board_id for board_id, _ in heads])
        return [(board, head, header) for (board, head), header in zip(heads, headers, strict=True)]


@asynccontextmanager
async def _logged() -> AsyncIterator[None]:
    """Let the loop go on past what fails: one board must not keep the others behind."""
    try:
        yield
    except (ProjectionUnavailableError, RecordUnavailableError) as error:
        _log.warning("projection not looked at", error=str(error))
    except Exception:  # noqa: BLE001 - Logged whole; the loop is what repairs, so it must not end.
        _log.exception("projector failed")
