"""Reads a board, at least as new as the caller asks.

Every answer holds at one position and says which store it is from. The projection is read first: where it
is behind, it is caught up if that is quick; where it is unavailable, gone, too far behind or stale, the
record answers. A stale answer is given only while the record is unavailable.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import suppress
from typing import Final

from score_service.boards.shared_reads import Ask, RecordReader
from score_service.domain.standing import BoardView, Reading
from score_service.errors import ProjectionUnavailableError, RecordUnavailableError, StandingNotFoundError
from score_service.projection.projection import Projection
from score_service.reconcile.projector import Projector
from score_service.record.standings import Standings

_PROJECTOR_SECONDS: Final = 0.3
"""What a reader waits for the projector, at most, before it reads the record."""


class Leaderboard:
    """The read path.

    Every method raises `BoardNotFoundError` where no award was ever made on the board,
    `ProjectionUnavailableError` where the ledger has not reached `min_revision`, and
    `RecordUnavailableError` or `OverloadedError` where PostgreSQL was needed and is unavailable or too busy;
    the latter also where too many reads wait.
    """

    def __init__(
        self, projection: Projection, projector: Projector, standings: Standings, reader: RecordReader
    ) -> None:
        self._projection = projection
        self._projector = projector
        self._standings = standings
        self._reader = reader

    async def get_standing(self, board_id: str, user_id: str, min_revision: int = 0) -> BoardView:
        """Read one user's standing.

        Raises:
            StandingNotFoundError: the user has no award on the board.
        """
        view = await self.get_standings(board_id, [user_id], min_revision)
        if not view.standings:
            raise StandingNotFoundError
        return view

    async def get_standings(self, board_id: str, user_ids: Sequence[str], min_revision: int = 0) -> BoardView:
        """Read the standings of users, in the order asked; unknown users are left out."""
        stores = self._projection.get_standings, self._standings.get_standings
        reading = await self._read(*stores, board_id, tuple(user_ids), min_revision=min_revision)
        return BoardView(reading.users, reading.position, reading.source)

    async def list_standings(
        self, board_id: str, page_size: int, page_token: str = "", min_revision: int = 0
    ) -> BoardView:
        """Read a page from the top of the board.

        While the board moves, pages follow each other by score: only who rises past the end of the page
        before is on neither, and nobody else is left out.

        Raises:
            InvalidRequestError: the page token is none that was given here.
        """
        stores = self._projection.list_standings, self._standings.list_standings
        reading = await self._read(*stores, board_id, page_size, page_token, min_revision=min_revision)
        return BoardView(reading.top, reading.position, reading.source, reading.next_page_token)

    async def list_standings_around(
        self, board_id: str, user_id: str, radius: int, min_revision: int = 0
    ) -> BoardView:
        """Read a user's standing and up to `radius` neighbours on each side.

        Raises:
            StandingNotFoundError: the user has no award on the board.
        """
        stores = self._projection.list_standings_around, self._standings.list_standings_around
        reading = await self._read(*stores, board_id, user_id, radius, min_revision=min_revision)
        if not reading.top:
            raise StandingNotFoundError
        return BoardView(reading.top, reading.position, reading.source)

    async def _read(
        self,
        cached: Callable[..., Awaitable[Reading | None]],
        recorded: Ask[Reading],
        board_id: str,
        *rest: Hashable,
        min_revision: int,
    ) -> Reading:
        stale: Reading | None = None
        with suppress(ProjectionUnavailableError):
            reading = await cached(board_id, *rest)
            if reading is not None and reading.position.revision < min_revision:
                await self._shortly(self._projector.catch_up(board_id))
                reading = await cached(board_id, *rest)
            if reading is not None and reading.position.revision >= min_revision:
                if board_id not in self._projector.known_boards:
                    with suppress(RecordUnavailableError):
                        await self._shortly(self._projector.confirm(board_id))
                if not self._projector.freshness.is_stale(board_id, reading.position.revision):
                    return reading
                stale = reading
        try:
            return await self._reader.read(recorded, board_id, *rest, min_revision=min_revision)
        except RecordUnavailableError:
            if stale is None:
                raise
            return stale

    async def _shortly(self, work: Awaitable[object]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PROJECTOR_SECONDS):
                await work
