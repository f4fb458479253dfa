"""The standings in PostgreSQL: what the ledger folds to, read without Redis.

Every answer is one statement, so it holds at one position: that of the board's row in its snapshot.

It only reads. The standings are written together with the awards, by the ledger's transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg.rows import DictRow

from score_service.database import Database
from score_service.errors import BoardNotFoundError
from score_service.position import Position


@dataclass(frozen=True, slots=True)
class StandingPage:
    """Standings in the order of user ids."""

    position: Position
    """Where the ledger stood when they were read."""
    members: int
    """How many they are, 1 or more."""
    last_user_id: str
    lines: str
    """`user_id total reached_revision` of each, joined by newlines, to be handed on as it is."""


class Standings:
    """The store of the standings.

    Every method raises `RecordUnavailableError` where PostgreSQL is away.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_page(self, board_id: str, after_user_id: str, limit: int) -> StandingPage | None:
        """Read up to `limit` standings after a user; None where there are no more.

        The first page is the one after the empty user id. Each page holds at a position of its own.

        Raises:
            BoardNotFoundError: no award was ever made on the board.
        """
        parameters = {"board_id": board_id, "after_user_id": after_user_id, "limit": limit}
        row = await self._fetch_board("read_page", parameters)
        if not row["members"]:
            return None
        return StandingPage(_position(row), row["members"], row["last_user_id"], row["lines"])

    async def count_members(self, board_id: str) -> tuple[Position, int]:
        """Count the users of a board, and tell the position at which they are so many.

        Raises:
            BoardNotFoundError: no award was ever made on the board.
        """
        row = await self._fetch_board("count_members", {"board_id": board_id})
        return _position(row), row["members"]

    async def _fetch_board(self, statement: str, parameters: Mapping[str, object]) -> DictRow:
        rows = await self._database.fetch_all(statement, parameters)
        if not rows:
            raise BoardNotFoundError
        return rows[0]


def _position(row: DictRow) -> Position:
    return Position.of(row["revision"], row["digest"])
