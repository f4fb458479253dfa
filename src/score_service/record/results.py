"""The results of final periods in PostgreSQL: what their standings were, with the rank of everyone.

Nothing of a result changes. But those who are hidden now are left out, and the others move up for as long;
users who are hidden stay in the count of entrants where the result is not kept in full and they are below the
top, where nobody is found.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from psycopg.rows import DictRow

from score_service.domain.ledger.position import Position
from score_service.domain.standings.standing import Reading, Source, Standing
from score_service.domain.tokens.page_token import read_page_token, write_page_token
from score_service.errors import BoardNotFoundError
from score_service.record.database import Database
from score_service.record.standings import make_standing


class Podium(NamedTuple):
    """The top of the result of a period."""

    entrants: int
    """In the whole of it."""
    winners: tuple[Standing, ...]
    """The best, in order."""


class Results:
    """Reads results as `Standings` reads what still moves.

    Every answer holds at where the ledger stands now. Every method raises `BoardNotFoundError` where the
    board has no such period that is final, and `RecordUnavailableError` where PostgreSQL is unavailable.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_standings(self, board_id: str, user_ids: Sequence[str], period_id: str) -> Reading:
        """Read some users' places, in the order asked, also of those who are hidden."""
        rows = await self._read(board_id, "get_results", period_id, {"user_ids": list(user_ids)})
        found = {standing.user_id: standing for standing in _standings(rows)}
        users = tuple(found[user_id] for user_id in user_ids if user_id in found)
        return _reading(rows[0], users=users)

    async def list_standings(self, board_id: str, page_size: int, page_token: str, period_id: str) -> Reading:
        """Read a page, from the top or from where another page ended.

        Raises:
            InvalidRequestError: the page token is none that was given here.
        """
        after = read_page_token(page_token)
        parameters = {"after_user_id": after.user_id if after else "", "limit": page_size + 1}
        rows = await self._read(board_id, "list_results", period_id, parameters)
        found = _standings(rows)
        token = write_page_token(found[page_size - 1]) if len(found) > page_size else ""
        return _reading(rows[0], top=found[:page_size], next_page_token=token)

    async def list_standings_around(
        self, board_id: str, user_id: str, radius: int, period_id: str
    ) -> Reading:
        """Read a user's neighbours; none where the result does not have the user, or the user is hidden."""
        parameters = {"user_id": user_id, "radius": radius}
        rows = await self._read(board_id, "list_results_around", period_id, parameters)
        return _reading(rows[0], top=_standings(rows))

    async def list_winners(self, board_id: str, period_ids: Sequence[str], limit: int) -> dict[str, Podium]:
        """Read the top of several results, by period; without those periods that are not final."""
        parameters = {"board_id": board_id, "period_ids": list(period_ids), "limit": limit}
        podiums: dict[str, Podium] = {}
        for row in await self._database.fetch_all("list_winners", parameters):
            others = podiums.get(row["period_id"], Podium(row["entrants"], ())).winners
            podiums[row["period_id"]] = Podium(row["entrants"], (*others, *_standings([row])))
        return podiums

    async def _read(
        self, board_id: str, statement: str, period_id: str, parameters: Mapping[str, object]
    ) -> list[DictRow]:
        parameters = {"board_id": board_id, "period_id": period_id, **parameters}
        rows = await self._database.fetch_all(statement, parameters, prepare=False)
        if not rows:
            raise BoardNotFoundError
        return rows


def _standings(rows: Sequence[DictRow]) -> tuple[Standing, ...]:
    return tuple(
        make_standing(row, row["rank"])
        for row in rows
        if row["user_id"] is not None  # A result where nothing is found still has a row, for the position.
    )


def _reading(
    row: DictRow,
    *,
    top: tuple[Standing, ...] = (),
    users: tuple[Standing, ...] = (),
    next_page_token: str = "",
) -> Reading:
    return Reading(
        Position.of(row["revision"], row["digest"]),
        Source.RECORD,
        top=top,
        users=users,
        next_page_token=next_page_token,
        entrants=row["entrants"],
    )
