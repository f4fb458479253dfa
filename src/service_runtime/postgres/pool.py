"""A pool of connections to PostgreSQL on which every wait is bounded.

Invariants:
- One statement is one transaction: nothing here relies on a session, so PgBouncer may stand between.
- A statement that takes too long has its socket shut down, because nothing else ends the wait on a network
  that drops every packet: a time-out of asyncio first has the driver ask the server to cancel.
- A connection that its server has closed is replaced before it is handed out. That costs no round trip: an
  idle connection whose socket can be read has been closed, or is about to be.
"""

import asyncio
import os
import select
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final, Literal, NamedTuple, Self, TypeAlias

import psycopg
import structlog
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from service_runtime.postgres.conninfo import complete_conninfo
from service_runtime.telemetry.logs import error_fields

Connection = psycopg.AsyncConnection[DictRow]

PrepareThreshold: TypeAlias = int | Literal["auto"] | None
"""After how many runs a statement is prepared; None for never. `auto` is never behind a pooler: that may give
the next run to another session, where the same name may stand for something else."""

UNAVAILABLE: Final = (
    psycopg.OperationalError,  # Also the pool's own: closed, timed out, too many waiting.
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # A server that has just been demoted.
    psycopg.errors.InvalidSchemaName,  # Not provisioned or migrated yet, or not far enough.
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InsufficientPrivilege,
)
"""What a statement fails with while the database cannot do its work, whatever the statement says."""
_CONNECTION_GOOD: Final = (
    PoolTimeout,
    TooManyRequests,
    psycopg.errors.QueryCanceled,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DiskFull,
    psycopg.errors.ConnectionFailure,  # Told by a server that lost another one, which it needed.
)
"""Errors of the driver's class for lost connections that say nothing against a connection."""

_PREPARE_THRESHOLD: Final = 5
_CONNECTION: Final[Mapping[str, str]] = {
    "connect_timeout": "3",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "target_session_attrs": "read-write",  # Of several hosts the primary, and never a standby.
}
"""What the connection string does not say otherwise."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How to reach a database, and how long to wait for it."""

    dsn: str
    """libpq connection string of the runtime role."""
    password: str | None = None
    prepare_threshold: PrepareThreshold = "auto"
    connections_max: int = 10
    waiting_max: int = 1000
    """Statements that may wait for a connection; more fail at once."""
    wait_seconds: float = 2.0
    """How long a statement waits for a connection, at most."""
    statement_seconds: float = 5.0
    """How long a statement runs, at most."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class PoolUse(NamedTuple):
    """How much of a pool is in use."""

    connections: int
    """Not idle, at this moment."""
    connections_max: int
    waiting: int
    """Statements that wait for a connection."""


class Pool:
    """Connections to one database. A subclass names the application, and runs its statements."""

    application_name: ClassVar[str]
    """As PostgreSQL shows it to its operator."""

    def __init__(self, pool: AsyncConnectionPool[Connection], settings: PoolSettings) -> None:
        self._pool = pool
        self._connections_max = settings.connections_max
        self._renewed_at = 0.0
        self.statement_seconds = settings.statement_seconds

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: PoolSettings) -> AsyncIterator[Self]:
        """Open the pool, whether or not the database is available, and close it at the end."""
        pool = AsyncConnectionPool(
            _conninfo(settings, cls.application_name),
            connection_class=Connection,
            kwargs={"autocommit": True, "row_factory": dict_row},
            configure=partial(_configure, settings),
            min_size=1,
            max_size=settings.connections_max,
            max_waiting=settings.waiting_max,
            timeout=settings.wait_seconds,
            reconnect_timeout=5,
            open=False,
            name=cls.application_name,
        )
        await pool.open(wait=False)
        try:
            yield cls(pool, settings)
        finally:
            await pool.close()

    @property
    def use(self) -> PoolUse:
        """How much of the pool is in use now."""
        stats = self._pool.get_stats()
        connections = stats["pool_size"] - stats["pool_available"]
        return PoolUse(connections, stats["pool_max"], stats["requests_waiting"])

    @asynccontextmanager
    async def connection(self, seconds: float | None = None) -> AsyncIterator[Connection]:
        """Lend a connection for one statement, which may run for so long, at most.

        Raises:
            psycopg.Error: one of `UNAVAILABLE`, or what the statement itself fails with.
        """
        connection = await self._get_open()
        try:
            with _deadline(connection, seconds or self.statement_seconds):
                yield connection
        finally:
            await self._pool.putconn(connection)

    async def _get_open(self) -> Connection:
        """Take a connection that its server has not closed while it was idle.

        The pool's own `check` hook would do, but waits a second or more after each connection that fails it
        (psycopg_pool 3.3).
        """
        connection = await self._pool.getconn()
        for _ in range(self._connections_max):
            if not _can_be_read(connection):
                break
            await connection.close()
            await self._pool.putconn(connection)
            connection = await self._pool.getconn()
        return connection

    async def note_unavailable(self, statement: str, error: Exception, began: float) -> bool:
        """Log that the database was unavailable. After a lost connection, close those that are idle.

        What broke one has broken most of them. Of all statements that were lost together only the first
        renews the pool.

        Args:
            statement: the name of the statement that failed.
            error: what it failed with, one of `UNAVAILABLE`.
            began: when it began, by the clock of the event loop.

        Returns:
            Whether its connection was lost, so that another one may do better at once.
        """
        _log.warning("database_unavailable", statement=statement, **error_fields(error))
        is_lost = is_connection_lost(error)
        if is_lost and began > self._renewed_at:
            self._renewed_at = asyncio.get_running_loop().time()
            await self._pool.drain()
        return is_lost


def is_connection_lost(error: Exception) -> bool:
    """Whether a connection broke, or leads to a server that only reads: another one may do better at once."""
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return True  # Another connection finds the primary.
    return isinstance(error, psycopg.OperationalError) and not isinstance(error, _CONNECTION_GOOD)


def _conninfo(settings: PoolSettings, application_name: str) -> str:
    own = {
        **_CONNECTION,
        "application_name": application_name,
        "tcp_user_timeout": str(int(settings.statement_seconds * 1000)),
    }
    return complete_conninfo(settings.dsn, settings.password, own)


async def _configure(settings: PoolSettings, connection: Connection) -> None:
    """Choose whether statements are prepared: a pooler has given the session a number of its own."""
    threshold = settings.prepare_threshold
    if threshold == "auto":
        with _deadline(connection, settings.statement_seconds):
            cursor = await connection.execute("SELECT pg_backend_pid() AS pid")
            (row,) = await cursor.fetchall()
        threshold = _PREPARE_THRESHOLD if row["pid"] == connection.info.backend_pid else None
    connection.prepare_threshold = threshold


def _can_be_read(connection: Connection) -> bool:
    """Whether something has come on an idle connection.

    That is the end of the connection, or `FATAL: terminating connection …` before it: nothing else comes
    unasked but a changed parameter of the server, and then the connection is replaced for little.
    """
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    return bool(poller.poll(0))


@contextmanager
def _deadline(connection: Connection, seconds: float) -> Iterator[None]:
    watchdog = asyncio.get_running_loop().call_later(seconds, _shut_down, connection)
    try:
        yield
    finally:
        watchdog.cancel()


def _shut_down(connection: Connection) -> None:
    # A connection that closed meanwhile has nothing to shut down.
    with (
        suppress(psycopg.OperationalError, OSError),
        socket.socket(fileno=os.dup(connection.fileno())) as duplicate,
    ):
        duplicate.shutdown(socket.SHUT_RDWR)
