"""PostgreSQL as the gateway reaches it: one statement at a time, every wait bounded.

Nothing relies on a session, so PgBouncer may stand between. A statement that takes too long has its socket
shut down, because nothing else ends the wait on a network that swallows everything.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, Literal, NamedTuple, Self, TypeAlias

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from action_gateway import tracing
from action_gateway.errors import UnavailableError
from action_gateway.store.sql import load_statement

_STATEMENT_SECONDS: Final = 3.0
_PREPARE_THRESHOLD: Final = 5
_CONNECTION: Final[Mapping[str, str]] = {
    "application_name": "action-gateway",
    "connect_timeout": "3",
    "tcp_user_timeout": "3000",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "target_session_attrs": "read-write",  # Of several hosts the primary, and never a standby.
}
"""What the connection string does not say otherwise."""
_AWAY: Final = (
    psycopg.OperationalError,  # Also the pool's own: closed, timed out, too many waiting.
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # A server that has just been demoted.
    psycopg.errors.InvalidSchemaName,  # Not provisioned or migrated yet.
    psycopg.errors.UndefinedTable,
    psycopg.errors.InsufficientPrivilege,
)

PrepareThreshold: TypeAlias = int | Literal["auto"] | None
"""After how many runs a statement is prepared; None for never. `auto` is never behind a pooler: that may give
the next run to another session, where the same name may stand for something else."""

_Connection = psycopg.AsyncConnection[DictRow]


class PoolUse(NamedTuple):
    """How much of a pool is taken."""

    connections: int
    """Not idle, at this moment."""
    connections_max: int
    waiting: int
    """Statements that wait for a connection."""


_log = structlog.get_logger(__name__)


class Database:
    """Runs the statements of `sql` by name. While PostgreSQL is away, that raises UnavailableError."""

    def __init__(self, pool: AsyncConnectionPool[_Connection]) -> None:
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        dsn: str,
        *,
        password: str | None = None,
        prepare_threshold: PrepareThreshold = "auto",
        pool_max: int = 10,
        pool_seconds: float = 1.5,
    ) -> AsyncIterator[Self]:
        """Open the pool, whether or not the database is there, and close it at the end.

        Args:
            dsn: libpq connection string of the runtime role.
            password: the role's password, if the DSN does not have it.
            prepare_threshold: when statements are prepared.
            pool_max: connections at most.
            pool_seconds: how long to wait for one.
        """
        pool = AsyncConnectionPool(
            make_conninfo("", **{**_CONNECTION, **conninfo_to_dict(dsn, password=password)}),
            connection_class=_Connection,
            kwargs={"autocommit": True, "row_factory": dict_row},
            configure=partial(_configure, prepare_threshold),
            min_size=1,
            max_size=pool_max,
            max_waiting=200,
            timeout=pool_seconds,
            reconnect_timeout=5,
            check=_check,
            open=False,
            name="gateway",
        )
        await pool.open(wait=False)
        try:
            yield cls(pool)
        finally:
            await pool.close()

    @property
    def pool_use(self) -> PoolUse:
        """How much of the pool is taken now."""
        stats = self._pool.get_stats()
        connections = stats["pool_size"] - stats["pool_available"]
        return PoolUse(connections, stats["pool_max"], stats["requests_waiting"])

    async def fetch_one(self, statement: str, **parameters: object) -> DictRow | None:
        """Run a statement and give its first row, if it has one."""
        async with self._connection(statement) as connection:
            cursor = await connection.execute(load_statement(statement), parameters)
            return await cursor.fetchone()

    async def fetch_all(self, statement: str, **parameters: object) -> list[DictRow]:
        """Run a statement and give its rows."""
        async with self._connection(statement) as connection:
            cursor = await connection.execute(load_statement(statement), parameters)
            return await cursor.fetchall()

    async def execute(self, statement: str, **parameters: object) -> int:
        """Run a statement and tell how many rows it changed."""
        async with self._connection(statement) as connection:
            cursor = await connection.execute(load_statement(statement), parameters)
            return cursor.rowcount

    @asynccontextmanager
    async def _connection(self, statement: str) -> AsyncIterator[_Connection]:
        try:
            with tracing.statement(statement):
                async with self._pool.connection() as connection, _deadline(connection):
                    yield connection
        except _AWAY as error:
            _log.warning(
                "database_unavailable", fault=type(error).__name__, said=str(error).partition("\n")[0]
            )
            if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
                await self._pool.drain()  # The next connections find the primary.
            raise UnavailableError from error


async def _configure(threshold: PrepareThreshold, connection: _Connection) -> None:
    """Choose whether statements are prepared: a pooler has given the session a number of its own."""
    if threshold == "auto":
        async with _deadline(connection):
            cursor = await connection.execute("SELECT pg_backend_pid() AS pid")
            (row,) = await cursor.fetchall()
        threshold = _PREPARE_THRESHOLD if row["pid"] == connection.info.backend_pid else None
    connection.prepare_threshold = threshold


async def _check(connection: _Connection) -> None:
    async with _deadline(connection):
        await AsyncConnectionPool.check_connection(connection)


@asynccontextmanager
async def _deadline(connection: _Connection) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    watchdog = loop.call_later(_STATEMENT_SECONDS, _shut_down, connection)
    try:
        yield
    finally:
        watchdog.cancel()


def _shut_down(connection: _Connection) -> None:
    # A connection that closed meanwhile has nothing to shut down.
    with (
        suppress(psycopg.OperationalError, OSError),
        socket.socket(fileno=os.dup(connection.fileno())) as duplicate,
    ):
        duplicate.shutdown(socket.SHUT_RDWR)
