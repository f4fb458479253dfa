"""The record of a board as its operator sees it: read whole, and put back to what it was."""

import datetime as dt
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any, Final, Self

import psycopg
from psycopg.rows import DictRow, dict_row
from tests.score_service.history.model import Commit, Record, Row
from tests.score_service.history.operations import RICH, ROOM

from score_service.domain.award import MAX_TOTAL
from score_service.domain.position import Position
from score_service.operations.chain import LedgerRow, digest_commit, start_digest

_TIME: Final = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
_AWARDS: Final = """
    SELECT a.revision, a.award_id::text, a.user_id, a.points, a.total_after AS total, a.action_type,
           a.action_id, a.request_id::text, c.last_revision, c.digest
    FROM score.award a
    LEFT JOIN score.commit c ON c.board_id = a.board_id
        AND a.revision BETWEEN c.first_revision AND c.last_revision
    WHERE a.board_id = %(board_id)s ORDER BY a.revision"""
_STANDINGS: Final = (
    "SELECT user_id, total, reached_revision FROM score.standing WHERE board_id = %(board_id)s"
)
_BOARD: Final = "SELECT revision, digest FROM score.board WHERE board_id = %(board_id)s FOR UPDATE"
_RESTORE: Final = (
    "DELETE FROM score.award WHERE board_id = %(board_id)s AND revision > %(revision)s",
    "DELETE FROM score.commit WHERE board_id = %(board_id)s AND last_revision > %(revision)s",
    "DELETE FROM score.standing WHERE board_id = %(board_id)s",
    """INSERT INTO score.standing (board_id, period, user_id, total, reached_revision)
       SELECT board_id, 'all_time', user_id, max(total_after), max(revision)
       FROM score.award WHERE board_id = %(board_id)s GROUP BY board_id, user_id""",
    """UPDATE score.board b SET revision = c.last_revision, digest = c.digest
       FROM score.commit c WHERE c.board_id = b.board_id AND c.last_revision = %(revision)s
       AND b.board_id = %(board_id)s""",
    "DELETE FROM score.board WHERE board_id = %(board_id)s AND %(revision)s = 0",
)
_FOUND: Final = (
    "INSERT INTO score.board VALUES (%(board_id)s, 1, %(digest)s, %(awarded_at)s)",
    """INSERT INTO score.award
       VALUES (%(board_id)s, %(award_id)s, %(revision)s, %(user_id)s, %(action_type)s, %(action_id)s,
               %(points)s, %(total_after)s, %(request_id)s, %(caller)s, %(trace_id)s, %(awarded_at)s)""",
    "INSERT INTO score.commit VALUES (%(board_id)s, 1, 1, %(digest)s, %(awarded_at)s)",
    "INSERT INTO score.standing VALUES (%(board_id)s, 'all_time', %(user_id)s, %(total_after)s, 1)",
)


class RecordKeeper:
    """A connection of the administrator."""

    def __init__(self, connection: psycopg.AsyncConnection[DictRow]) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, dsn: str) -> AsyncIterator[Self]:
        async with await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, row_factory=dict_row
        ) as connection:
            await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            yield cls(connection)

    async def read(self, board_id: str) -> Record:
        """Read everything in one snapshot."""
        async with self._connection.transaction():
            awards, standings, boards = [
                await self._run(statement, board_id=board_id)
                for statement in (_AWARDS, _STANDINGS, _BOARD.removesuffix(" FOR UPDATE"))
            ]
        commits = groupby(awards, key=lambda row: Position.of(row.pop("last_revision"), row.pop("digest")))
        return Record(
            Position.of(boards[0]["revision"], boards[0]["digest"]) if boards else None,
            tuple(Commit(position, tuple(Row(**row) for row in rows)) for position, rows in commits),
            frozenset((row["user_id"], row["total"], row["reached_revision"]) for row in standings),
        )

    async def restore(self, board_id: str, revision: int) -> None:
        """Lose what came after a commit."""
        async with self._connection.transaction():
            for statement in (_BOARD, *_RESTORE):
                await self._run(statement, board_id=board_id, revision=revision)

    async def found(self, board_id: str) -> str:
        """Begin a board with a user who is as rich as it takes; gives the id of the award."""
        row = LedgerRow(
            revision=1,
            award_id=str(uuid.UUID(int=999)),
            user_id=RICH,
            action_type="puzzle",
            action_id="inheritance",
            points=1,
            total_after=MAX_TOTAL - ROOM,
            request_id=str(uuid.UUID(int=999)),
            caller="spiffe://test.local/operator",
            trace_id="",
            awarded_at=str(int(_TIME.timestamp()) * 1_000_000),
        )
        digest = digest_commit(start_digest(board_id), [row])
        for statement in _FOUND:
            values = row._asdict() | {"board_id": board_id, "digest": digest, "awarded_at": _TIME}
            await self._run(statement, **values)
        return row.award_id

    async def _run(self, statement: str, **values: Any) -> list[DictRow]:
        cursor = await self._connection.execute(statement.encode(), values)
        return await cursor.fetchall() if cursor.description else []
