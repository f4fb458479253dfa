"""Reads a board, at least as new as the caller asks.

Every answer holds at one position and says which store it is from. The projection is read first: where it
is behind, it is caught up if that is quick; where it is unavailable, gone, too far behind or stale, the
record answers. A stale answer is given only while the record is unavailable. Of a period that is final, the
archive answers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

from score_service.boards.standings.period_finder import FoundPeriod, PeriodFinder
from score_service.boards.standings.shared_reads import Ask, RecordReader
from score_service.domain.board.period import ALL_TIME, PeriodChoice, PeriodView
from score_service.domain.standings.standing import BoardView, Reading
from score_service.domain.tokens.page_token import pin_page_token, unpin_page_token
from score_service.errors import (
    OverloadedError,
    ProjectionUnavailableError,
    RecordUnavailableError,
    StandingNotFoundError,
)
from score_service.projection.projection import Projection
from score_service.reconcile.projector import Projector
from score_service.record.results import Results
from score_service.record.standings import Standings

_PROJECTOR_SECONDS: Final = 0.3
"""What a reader waits for the projector, at most, before it reads the record."""


class _Stores(NamedTuple):
    """How each store is asked one thing, of the standings of all time or of a period."""

    cached: Callable[..., Awaitable[Reading | None]]
    recorded: Ask[Reading]
    archived: Ask[Reading]


class Leaderboard:
    """The read path.

    Every method raises `BoardNotFoundError` where no award was ever made on the board,
    `ProjectionUnavailableError` where the ledger has not reached `min_revision`, and
    `RecordUnavailableError` or `OverloadedError` where PostgreSQL was needed and is unavailable or too busy;
    the latter also where too many reads wait. Where a period is chosen, it raises `PeriodUnknownError` where
    the board has no such period, or it has not begun.
    """

    def __init__(
        self,
        projection: Projection,
        projector: Projector,
        standings: Standings,
        results: Results,
        reader: RecordReader,
        finder: PeriodFinder,
    ) -> None:
        self._projection = projection
        self._projector = projector
        self._standings = standings
        self._results = results
        self._reader = reader
        self._finder = finder

    async def get_standing(
        self, board_id: str, user_id: str, min_revision: int = 0, choice: PeriodChoice | None = None
    ) -> BoardView:
        """Read one user's standing.

        Raises:
            StandingNotFoundError: the user has no award on the board, or none in the period.
        """
        view = await self.get_standings(board_id, [user_id], min_revision, choice)
        if not view.standings:
            raise StandingNotFoundError
        return view

    async def get_standings(
        self,
        board_id: str,
        user_ids: Sequence[str],
        min_revision: int = 0,
        choice: PeriodChoice | None = None,
    ) -> BoardView:
        """Read the standings of users, in the order asked; unknown users are left out."""
        stores = _Stores(
            self._projection.get_standings, self._standings.get_standings, self._results.get_standings
        )
        reading, period = await self._ask(stores, board_id, (tuple(user_ids),), min_revision, choice)
        return BoardView(reading.users, reading.position, reading.source, period=period)

    async def list_standings(
        self,
        board_id: str,
        page_size: int,
        page_token: str = "",
        min_revision: int = 0,
        choice: PeriodChoice | None = None,
    ) -> BoardView:
        """Read a page from the top of the board.

        While the board moves, pages follow each other by score: only who rises past the end of the page
        before is on neither, and nobody else is left out. The pages after the first one are of the same
        period, also where the current one is another by then.

        Raises:
            InvalidRequestError: the page token is none that was given here for such a period.
        """
        if choice is not None:
            page_token, choice = unpin_page_token(page_token, choice)
        stores = _Stores(
            self._projection.list_standings, self._standings.list_standings, self._results.list_standings
        )
        reading, period = await self._ask(stores, board_id, (page_size, page_token), min_revision, choice)
        token = reading.next_page_token
        if period is not None:
            token = pin_page_token(token, period.period.period_id)
        return BoardView(reading.top, reading.position, reading.source, token, period)

    async def list_standings_around(
        self,
        board_id: str,
        user_id: str,
        radius: int,
        min_revision: int = 0,
        choice: PeriodChoice | None = None,
    ) -> BoardView:
        """Read a user's standing and up to `radius` neighbours on each side.

        Raises:
            StandingNotFoundError: the user has no award on the board, or none in the period.
        """
        stores = _Stores(
            self._projection.list_standings_around,
            self._standings.list_standings_around,
            self._results.list_standings_around,
        )
        reading, period = await self._ask(stores, board_id, (user_id, radius), min_revision, choice)
        if not reading.top:
            raise StandingNotFoundError
        return BoardView(reading.top, reading.position, reading.source, period=period)

    async def _ask(
        self,
        stores: _Stores,
        board_id: str,
        question: tuple[Hashable, ...],
        min_revision: int,
        choice: PeriodChoice | None,
    ) -> tuple[Reading, PeriodView | None]:
        if choice is None:
            return await self._read(stores, board_id, question, min_revision), None
        found = await self._finder.find(board_id, choice)
        if not found.is_final:
            reading = await self._read(stores, board_id, question, min_revision, found.period_id)
            found = await self._look_again(board_id, found, reading)
        if found.is_final:
            reading = await self._reader.read(
                stores.archived, board_id, *question, found.period_id, min_revision=min_revision
            )
        return reading, found.view(self._finder.now(), reading.entrants or 0)

    async def _look_again(self, board_id: str, found: FoundPeriod, reading: Reading) -> FoundPeriod:
        """Find out whether a period has become final that a store had nobody in."""
        if reading.entrants or not found.may_have_ended(reading.position, self._finder.now()):
            return found
        try:
            return await self._finder.find(board_id, found.choice, anew=True)
        except (OverloadedError, RecordUnavailableError):
            if found.stored:
                raise
            return found

    async def _read(
        self,
        stores: _Stores,
        board_id: str,
        question: tuple[Hashable, ...],
        min_revision: int,
        period_id: str = ALL_TIME,
    ) -> Reading:
        cached = partial(stores.cached, board_id, *question, period_id=period_id)
        stale: Reading | None = None
        with suppress(ProjectionUnavailableError):
            reading = await cached()
            if reading is not None and reading.position.revision < min_revision:
                await self._shortly(self._projector.catch_up(board_id))
                reading = await cached()
            if reading is not None and reading.position.revision >= min_revision:
                if board_id not in self._projector.known_boards:
                    with suppress(RecordUnavailableError):
                        await self._shortly(self._projector.known_boards.confirm(board_id))
                if not self._projector.freshness.is_stale(board_id, reading.position.revision):
                    return reading
                stale = reading
        try:
            return await self._reader.read(
                stores.recorded, board_id, *question, period_id, min_revision=min_revision
            )
        except RecordUnavailableError:
            if stale is None:
                raise
            return stale

    async def _shortly(self, work: Awaitable[object]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PROJECTOR_SECONDS):
                await work
