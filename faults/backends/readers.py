"""Readers: they ask where boards and users stand, some of them for what an award must have changed."""

import random
import time
from collections.abc import Sequence

from faults.backends.backend import NO_ANSWER, Backend
from faults.backends.memory import Memory
from faults.load.load import Load
from faults.load.rows import rows_of_standings
from faults.model.history import Read, Row
from score_client import (
    BoardNotFoundError,
    PeriodUnknownError,
    StandingNotFoundError,
    StandingsView,
    StandingView,
)

_PAGE_SIZES = (10, 100)
_USERS_MAX = 5
_NO_POSITION = (BoardNotFoundError, PeriodUnknownError, *NO_ANSWER)
"""An answer without a position, or none."""
_PERIODS = ("", "", "", "season", "season:previous")
"""What is asked for: mostly all time."""


class Readers:
    """All readers. They use the clients of the backends."""

    def __init__(
        self, backends: Sequence[Backend], memory: Memory, randomness: random.Random, load: Load
    ) -> None:
        self._backends = backends
        self._memory = memory
        self._randomness = randomness
        self._load = load

    async def act(self) -> None:
        """Read something, at the revision of one of the newest awards or as it is."""
        backend, known = self._randomness.choice(self._backends), self._memory.newest_known()
        if known is None or self._randomness.random() < 0.3:  # noqa: PLR2004 - a weight
            await self._read_top(backend, self._randomness.choice(self._load.boards), None, self._period())
            return
        board, user, period = known.asked.board_id, known.asked.user_id, self._period()
        least = known.revision if self._randomness.random() < 0.7 else None  # noqa: PLR2004 - a weight
        match self._randomness.randrange(3):
            case 0:
                await self._read_top(backend, board, least, period)
            case 1:
                await self._read_user(backend, board, user, least, period)
            case _:
                users = [user, *(self._others(board) - {user})]
                await self._read_users(backend, board, users, least, period)

    def _period(self) -> str:
        return self._randomness.choice(_PERIODS)

    async def _read_top(self, backend: Backend, board: str, least: int | None, period: str = "") -> None:
        began, page_size = time.monotonic(), self._randomness.choice(_PAGE_SIZES)
        try:
            view = await backend.client.list_standings(
                board_id=board, page_size=page_size, min_revision=least, period=period
            )
        except _NO_POSITION:
            return
        rows = rows_of_standings(view.standings)
        self._record(backend, board, began, least, view, top=rows, page_size=page_size)

    async def _read_user(
        self, backend: Backend, board: str, user: str, least: int | None, period: str = ""
    ) -> None:
        began = time.monotonic()
        try:
            view = await backend.client.get_standing(
                board_id=board, user_id=user, min_revision=least, period=period
            )
        except StandingNotFoundError:
            # That names no position, so it is asked for in the form that does.
            await self._read_users(backend, board, [user], least, period)
        except _NO_POSITION:
            return
        else:
            self._record(
                backend, board, began, least, view, users=(user,), rows=rows_of_standings([view.standing])
            )

    async def _read_users(
        self, backend: Backend, board: str, users: Sequence[str], least: int | None, period: str = ""
    ) -> None:
        began = time.monotonic()
        try:
            view = await backend.client.batch_get_standings(
                board_id=board, user_ids=users, min_revision=least, period=period
            )
        except _NO_POSITION:
            return
        rows = rows_of_standings(view.standings)
        self._record(backend, board, began, least, view, users=tuple(users), rows=rows)

    def _others(self, board: str) -> set[str]:
        drawn = [self._memory.newest_known() for _ in range(_USERS_MAX - 1)]
        return {one.asked.user_id for one in drawn if one and one.asked.board_id == board}

    def _record(  # noqa: PLR0913 - the fields of a read
        self,
        backend: Backend,
        board: str,
        began: float,
        least: int | None,
        view: StandingsView | StandingView,
        *,
        top: tuple[Row, ...] | None = None,
        page_size: int = 0,
        users: tuple[str, ...] = (),
        rows: tuple[Row, ...] = (),
    ) -> None:
        backend.history.add(
            Read(
                reader=backend.name,
                board_id=board,
                began=began,
                ended=time.monotonic(),
                revision=view.revision,
                position=view.position,
                source=view.source.value,
                top=top,
                page_size=page_size,
                users=users,
                rows=rows,
                min_revision=least,
                period=view.period.period_id if view.period else "",
            )
        )
