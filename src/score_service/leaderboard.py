"""Reads a board, at least as new as the caller asks.

Every answer holds at one position. It reads the projection; where that is behind or gone, it has the
projection caught up first.
"""

from collections.abc import Awaitable, Callable, Sequence

from score_service.errors import ProjectionUnavailableError, StandingNotFoundError
from score_service.projection import Projection
from score_service.projector import Projector
from score_service.standing import BoardView, Reading, Source


class Leaderboard:
    """The read path.

    Every method raises `BoardNotFoundError` where no award was ever made on the board,
    `ProjectionUnavailableError` where Redis is away or cannot reach `min_revision`, and
    `RecordUnavailableError` where PostgreSQL was needed and is away.
    """

    def __init__(self, projection: Projection, projector: Projector) -> None:
        self._projection = projection
        self._projector = projector

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

        async def read() -> Reading | None:
            return await self._projection.get_standings(board_id, user_ids)

        reading = await self._read(board_id, min_revision, read)
        return BoardView(reading.users, reading.position, Source.CACHE)

    async def list_standings(
        self, board_id: str, page_size: int, page_token: str = "", min_revision: int = 0
    ) -> BoardView:
        """Read a page from the top of the board.

        While the board moves, pages follow each other by score: only who rises past the end of the page
        before is on neither, and nobody else is left out.

        Raises:
            InvalidRequestError: the page token is none that was given here.
        """

        async def read() -> Reading | None:
            return await self._projection.list_standings(board_id, page_size, page_token)

        reading = await self._read(board_id, min_revision, read)
        return BoardView(reading.top, reading.position, Source.CACHE, reading.next_page_token)

    async def list_standings_around(
        self, board_id: str, user_id: str, radius: int, min_revision: int = 0
    ) -> BoardView:
        """Read a user's standing and up to `radius` neighbours on each side.

        Raises:
            StandingNotFoundError: the user has no award on the board.
        """

        async def read() -> Reading | None:
            return await self._projection.list_standings_around(board_id, user_id, radius)

        reading = await self._read(board_id, min_revision, read)
        if not reading.top:
            raise StandingNotFoundError
        return BoardView(reading.top, reading.position, Source.CACHE)

    async def _read(
        self, board_id: str, min_revision: int, read: Callable[[], Awaitable[Reading | None]]
    ) -> Reading:
        reading = await read()
        if reading is None or reading.position.revision < min_revision:
            await self._projector.catch_up(board_id)
            reading = await read()
        if reading is None or reading.position.revision < min_revision:
            raise ProjectionUnavailableError
        return reading
