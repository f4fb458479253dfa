"""PostgreSQL as the score service reaches it: one statement at a time, every wait bounded.

Invariants:
- One statement is one transaction: nothing here relies on a session, so PgBouncer may stand between.
- A statement that takes too long has its socket shut down, because nothing else ends the wait on a network
  that swallows everything: a time-out of asyncio first has the driver ask the server to cancel.
- Every statement of `sql` may run twice. One whose connection was lost does, and one that was answered
  although the server did not wait for its standbys to the end.

It knows the names of statements and nothing of what they say.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, NamedTuple, Self, TypeAlias

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from score_service import tracing
from score_service.errors import RecordUnavailableError
from score_service.record.sql import load_statement

_RETRY_SECONDS: Final = 0.05
_PREPARE_THRESHOLD: Final = 5
_CONNECTION: Final[Mapping[str, str]] = {
    "application_name": "score-service",
    "connect_timeout": "3",
    "tcp_user_timeout": "5000",
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
    psycopg.errors.InvalidSchemaName,  # Not migrated yet, or not far enough.
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InsufficientPrivilege,
)
_WAIT_FOR_STANDBYS: Final = "SyncRepWaitForLSN"
"""The function of PostgreSQL that warns of a wait that was cut short: neither the code nor the words of that
warning are its own, the words because they are translated."""
_WAITED_ALREADY: Final = (PoolTimeout, TooManyRequests, psycopg.errors.QueryCanceled)

PrepareThreshold: TypeAlias = int | Literal["auto"] | None
"""After how many runs a statement is prepared; None for never. `auto` is never behind a pooler: that may give
the next run to another session, where the same name may stand for something else."""

_Connection = psycopg.AsyncConnection[DictRow]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """How to reach the record."""

    dsn: str
    password: str | None = None
    prepare_threshold: PrepareThreshold = "auto"
    pool_max: int = 10
    wait_seconds: float = 2.0
    """How long a statement waits for a connection, at most."""
    statement_seconds: float = 5.0
    """How long it runs, at most. One that was lost is not sent again after that."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class PoolUse(NamedTuple):
    """How much of a pool is taken."""

    connections: int
    """Not idle, at this moment."""
    connections_max: int
    waiting: int
    """Statements that wait for a connection."""


class _UnconfirmedError(psycopg.OperationalError):
    """A statement was answered, but what it committed may be on this server alone."""


_HELD_UP: Final = (_UnconfirmedError, psycopg.errors.LockNotAvailable)
"""The connection is as good as any other."""


class Database:
    """Runs the statements of `sql` by name."""

    def __init__(self, pool: AsyncConnectionPool[_Connection], settings: DatabaseSettings) -> None:
        self._pool = pool
        self._seconds = settings.statement_seconds
        self._renewed_at = 0.0

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: DatabaseSettings) -> AsyncIterator[Self]:
        """Open the pool, whether or not the database is there, and close it at the end."""
        told = conninfo_to_dict(settings.dsn, password=settings.password)
        pool = AsyncConnectionPool(
            make_conninfo("", **{**_CONNECTION, **told}),
            connection_class=_Connection,
            kwargs={"autocommit": True, "row_factory": dict_row},
            configure=partial(_configure, settings),
            min_size=1,
            max_size=settings.pool_max,
            max_waiting=1000,
            timeout=settings.wait_seconds,
            reconnect_timeout=5,
            open=False,
            name="record",
        )
        await pool.open(wait=False)
        try:
            yield cls(pool, settings)
        finally:
            await pool.close()

    @property
    def pool_use(self) -> PoolUse:
        """How much of the pool is taken now."""
        stats = self._pool.get_stats()
        connections = stats["pool_size"] - stats["pool_available"]
        return PoolUse(connections, stats["pool_max"], stats["requests_waiting"])

    async def fetch_all(
        self,
        statement: str,
        parameters: Mapping[str, object],
        seconds: float | None = None,
        *,
        prepare: bool | None = None,
    ) -> list[DictRow]:
        """Run a statement as one transaction and give its rows.

        Args:
            statement: its name, see `sql`.
            parameters: by name.
            seconds: how long it may run, at most; None for what the settings say.
            prepare: False has it planned anew each time, for one whose best plan depends on the board.

        Raises:
            RecordUnavailableError: PostgreSQL is away, or did not answer in time. Whether a statement that
                writes has done so is unknown.
        """
        clock = asyncio.get_running_loop().time
        seconds = seconds or self._seconds
        give_up_at = clock() + seconds
        while True:
            began = clock()
            try:
                with tracing.statement(statement):
                    async with self._pool.connection() as connection:
                        with _deadline(connection, seconds), _confirmation(connection):
                            cursor = await connection.execute(
                                load_statement(statement), parameters, prepare=prepare
                            )
                            return await cursor.fetchall()
            except _AWAY as error:
                said = str(error).partition("\n")[0]
                _log.warning("record unavailable", statement=statement, kind=type(error).__name__, said=said)
                if not _may_pass(error):
                    raise RecordUnavailableError from error
                if not isinstance(error, _HELD_UP):
                    await self._renew(began)
                if clock() >= give_up_at:
                    raise RecordUnavailableError from error
            await asyncio.sleep(_RETRY_SECONDS)

    async def _renew(self, began: float) -> None:
        """Close the idle connections: what broke the one has broken most of them.

        Only once for all statements that were lost together.
        """
        if began > self._renewed_at:
            self._renewed_at = asyncio.get_running_loop().time()
            await self._pool.drain()


def _may_pass(error: Exception) -> bool:
    """Tell whether trying again may help at once: a lost connection, not a pool that has waited already."""
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return True  # Another connection finds the primary.
    return isinstance(error, psycopg.OperationalError) and not isinstance(error, _WAITED_ALREADY)


async def _configure(settings: DatabaseSettings, connection: _Connection) -> None:
    """Choose whether statements are prepared: a pooler has given the session a number of its own."""
    threshold = settings.prepare_threshold
    if threshold == "auto":
        with _deadline(connection, settings.statement_seconds):
            cursor = await connection.execute("SELECT pg_backend_pid() AS pid")
            (row,) = await cursor.fetchall()
        threshold = _PREPARE_THRESHOLD if row["pid"] == connection.info.backend_pid else None
    connection.prepare_threshold = threshold


@contextmanager
def _confirmation(connection: _Connection) -> Iterator[None]:
    """Take no answer of a server that did not wait for its standbys to the end.

    One whose wait is cancelled, as by `pg_cancel_backend`, answers that all is done, and warns that the
    standbys may not have it. The same statement again waits for them again. Other warnings, such as that
    transaction ids run out soon, come with each commit and change nothing about it.
    """
    warnings: list[str] = []

    def note(said: psycopg.errors.Diagnostic) -> None:
        if said.source_function == _WAIT_FOR_STANDBYS:
            warnings.append(said.message_primary or "")

    connection.add_notice_handler(note)
    try:
        yield
    finally:
        connection.remove_notice_handler(note)
    if warnings:
        raise _UnconfirmedError(warnings[0])


@contextmanager
def _deadline(connection: _Connection, seconds: float) -> Iterator[None]:
    watchdog = asyncio.get_running_loop().call_later(seconds, _shut_down, connection)
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
