"""The record in PostgreSQL: awards, their commits, and where each board's ledger stands.

Invariants:
- An award is written once, in one transaction with its commit and its user's standing.
- The commits of a board follow each other without gap, in the order of the lock on the board's row, so
  "after revision r" is a safe cursor.
- One statement is one transaction: nothing here relies on a session, so PgBouncer may stand between.

It knows nothing of Redis, ranks or callers.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, LiteralString, Self
from uuid import UUID

import psycopg
import structlog
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from score_service.award import MAX_BATCH, Award, OutOfRange, RecordedAward
from score_service.changes import Change, Changes
from score_service.errors import AwardNotFoundError, BoardNotFoundError, RecordUnavailableError
from score_service.position import Position
from score_service.sql import load_statement

REQUIRED_SCHEMA: Final = "0001"
"""The oldest schema that this code works with. Four digits, so that a newer one compares greater."""

MAX_REVISION: Final = 2**63 - 1 - MAX_BATCH
"""More awards than a ledger ever holds, with room to add a batch in PostgreSQL's bigint."""

_ATTEMPTS: Final = 3
_CONNECTION: Final[Mapping[str, str]] = {
    "application_name": "score-service",
    "connect_timeout": "5",
    "tcp_user_timeout": "5000",
    "keepalives_idle": "10",
}
_AWAY: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # A server that has just been demoted.
    psycopg.errors.InvalidSchemaName,  # Not migrated yet, or not far enough.
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InsufficientPrivilege,
    PoolTimeout,
    TooManyRequests,
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecordedBatch:
    """What became of a batch: the new commit's changes, and the ledger row of every award asked for."""

    changes: Changes
    """`before` and `after` are the same where nothing was new."""
    results: tuple[RecordedAward | OutOfRange, ...]
    """In the order of the batch."""


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """How to reach the record."""

    dsn: str
    password: str | None = None
    prepare_threshold: int | None = 5
    """None behind a pooler that does not keep prepared statements."""
    pool_max: int = 10
    wait_seconds: float = 2.0
    """How long a statement waits for a connection, at most."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Ledger:
    """The store of the record."""

    def __init__(self, pool: AsyncConnectionPool[psycopg.AsyncConnection[DictRow]]) -> None:
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: LedgerSettings) -> AsyncIterator[Self]:
        """Open the pool, whether or not the database is there, and close it at the end."""
        pool = AsyncConnectionPool(
            make_conninfo(settings.dsn, password=settings.password, **_CONNECTION),
            connection_class=psycopg.AsyncConnection[DictRow],
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "prepare_threshold": settings.prepare_threshold,
            },
            min_size=1,
            max_size=settings.pool_max,
            max_waiting=1000,
            timeout=settings.wait_seconds,
            reconnect_timeout=5,
            check=AsyncConnectionPool.check_connection,
            open=False,
            name="ledger",
        )
        await pool.open(wait=False)
        try:
            yield cls(pool)
        finally:
            await pool.close()

    async def record_awards(self, board_id: str, awards: Sequence[Award]) -> RecordedBatch:
        """Write the awards of one board that are new, in one commit, and read back all of them.

        A connection lost on the way leaves open whether the commit was made, so the same batch is sent
        again: what was written then is found, not written twice.

        Args:
            board_id: the board of every award.
            awards: 1 to `MAX_BATCH`.

        Raises:
            RecordUnavailableError: PostgreSQL is away; the outcome is unknown.
        """
        rows = await self._fetch_all("record_awards", _batch_parameters(board_id, awards))
        before = Position.of(rows[0]["from_revision"], rows[0]["from_digest"])
        after = Position.of(rows[0]["to_revision"], rows[0]["to_digest"])
        results = tuple(OutOfRange() if row["revision"] is None else _recorded(row) for row in rows)
        return RecordedBatch(Changes(board_id, before, after, _fold(results, before)), results)

    async def get_award(self, board_id: str, award_id: UUID) -> RecordedAward:
        """Read one award.

        Raises:
            AwardNotFoundError: the board has no award with this id, or does not exist.
            RecordUnavailableError: PostgreSQL is away.
        """
        rows = await self._fetch_all("get_award", {"board_id": board_id, "award_id": award_id})
        if not rows:
            raise AwardNotFoundError
        return _recorded(rows[0])

    async def read_head(self, board_id: str) -> Position:
        """Tell where the ledger of a board stands.

        Raises:
            BoardNotFoundError: no award was ever made on the board.
            RecordUnavailableError: PostgreSQL is away.
        """
        rows = await self._fetch_all("read_head", {"board_id": board_id})
        if not rows:
            raise BoardNotFoundError
        return Position.of(rows[0]["revision"], rows[0]["digest"])

    async def list_heads(self, after_board_id: str, limit: int) -> list[tuple[str, Position]]:
        """Tell where the ledgers of the boards after one stand, in the order of their ids.

        Raises:
            RecordUnavailableError: PostgreSQL is away.
        """
        rows = await self._fetch_all("list_heads", {"after_board_id": after_board_id, "limit": limit})
        return [(row["board_id"], Position.of(row["revision"], row["digest"])) for row in rows]

    async def has_position(self, board_id: str, position: Position) -> bool:
        """Tell whether the ledger of a board went through a position.

        Raises:
            RecordUnavailableError: PostgreSQL is away.
        """
        if position.revision == 0:
            return position == Position.start(board_id)
        parameters = {"board_id": board_id, "revision": position.revision}
        rows = await self._fetch_all("find_commit", parameters)
        return bool(rows) and Position.of(position.revision, rows[0]["digest"]) == position

    async def read_changes(
        self, board_id: str, after: Position, upto_revision: int = MAX_REVISION
    ) -> Changes | None:
        """Read what changed after a position of this ledger, in whole commits; None if nothing did.

        Args:
            board_id: the board.
            after: a position that the ledger went through.
            upto_revision: where to stop. The answer may stop before it, after at most `MAX_BATCH` awards.

        Raises:
            RecordUnavailableError: PostgreSQL is away.
        """
        parameters = {
            "board_id": board_id,
            "after_revision": after.revision,
            "upto_revision": upto_revision,
            "limit": MAX_BATCH,
        }
        rows = await self._fetch_all("read_changes", parameters)
        if not rows:
            return None
        changes = tuple(Change(row["user_id"], row["total_after"], row["revision"]) for row in rows)
        return Changes(board_id, after, Position.of(rows[0]["to_revision"], rows[0]["to_digest"]), changes)

    async def read_schema_revision(self) -> str:
        """Tell the newest migration of the database.

        Raises:
            RecordUnavailableError: PostgreSQL is away, or was never migrated.
        """
        rows = await self._fetch_all("read_schema_revision", {})
        return str(rows[0]["version_num"]) if rows else ""

    async def _fetch_all(self, statement: str, parameters: Mapping[str, object]) -> list[DictRow]:
        """Run a statement as one transaction. Every statement here may be run again."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self._pool.connection() as connection:
                    cursor = await connection.execute(_STATEMENTS[statement], parameters)
                    return await cursor.fetchall()
            except _AWAY as error:
                _log.warning("record unavailable", statement=statement, attempt=attempt, error=str(error))
                if attempt == _ATTEMPTS or not _may_pass(error):
                    raise RecordUnavailableError from error
                await asyncio.sleep(0.05 * attempt)
        raise AssertionError


def _may_pass(error: BaseException) -> bool:
    """Tell whether trying again at once may help: a lost connection, not a pool that has waited already."""
    return isinstance(error, psycopg.OperationalError) and not isinstance(
        error, (PoolTimeout, TooManyRequests, psycopg.errors.QueryCanceled)
    )


def _batch_parameters(board_id: str, awards: Sequence[Award]) -> dict[str, Any]:
    return {
        "board_id": board_id,
        "award_ids": [award.award_id for award in awards],
        "user_ids": [award.user_id for award in awards],
        "points": [award.points for award in awards],
        "action_types": [award.action_type for award in awards],
        "action_ids": [award.action_id for award in awards],
        "request_ids": [award.request_id for award in awards],
        "callers": [award.caller for award in awards],
        "trace_ids": [award.trace_id for award in awards],
    }


def _recorded(row: DictRow) -> RecordedAward:
    return RecordedAward(
        award_id=row["award_id"],
        revision=row["revision"],
        position=Position.of(row["commit_revision"], row["commit_digest"]),
        user_id=row["user_id"],
        points=row["points"],
        total_after=row["total_after"],
        action_type=row["action_type"],
        action_id=row["action_id"],
        request_id=row["request_id"],
    )


def _fold(results: Sequence[RecordedAward | OutOfRange], before: Position) -> tuple[Change, ...]:
    """Keep the newest change of each user among the awards that are new."""
    new = (r for r in results if isinstance(r, RecordedAward) and r.revision > before.revision)
    newest = {r.user_id: r for r in sorted(new, key=lambda r: r.revision)}
    return tuple(Change(r.user_id, r.total_after, r.revision) for r in newest.values())


_STATEMENTS: Final[Mapping[str, LiteralString]] = {
    name: load_statement(name)
    for name in (
        "record_awards",
        "get_award",
        "read_head",
        "list_heads",
        "find_commit",
        "read_changes",
        "read_schema_revision",
    )
}
