"""What the gateway keeps in PostgreSQL: accounts, sessions, actions and attempts.

Every method is one statement and one transaction; nothing relies on a session, so PgBouncer may stand
between. A statement that takes too long has its socket shut down, because nothing else ends the wait on a
network that swallows everything. Passwords, tokens and answers arrive here as hashes or not at all.
"""

import asyncio
import os
import socket
import uuid
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

import psycopg
import structlog
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from action_gateway.action import Repeat
from action_gateway.errors import (
    ActionNotFoundError,
    BadActionTokenError,
    UnavailableError,
    UsernameTakenError,
)
from action_gateway.sql import load_statement

REQUIRED_REVISION: Final = "0001"
"""The oldest schema that this code works with."""

_STATEMENT_SECONDS: Final = 3.0
_WAIT_SECONDS: Final = 1.5
_CONNECTION: Final[Mapping[str, str]] = {
    "application_name": "action-gateway",
    "connect_timeout": "3",
    "tcp_user_timeout": "3000",
    "keepalives_idle": "10",
}
_AWAY: Final = (
    psycopg.OperationalError,  # Also the pool's own: closed, timed out, too many waiting.
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # A server that has just been demoted.
    psycopg.errors.InvalidSchemaName,  # Not provisioned or migrated yet.
    psycopg.errors.UndefinedTable,
    psycopg.errors.InsufficientPrivilege,
)

_log = structlog.get_logger(__name__)

_Connection = psycopg.AsyncConnection[DictRow]


@dataclass(frozen=True, slots=True)
class User:
    """A player."""

    user_id: str
    username: str


@dataclass(frozen=True, slots=True, repr=False)
class Account:
    """A user and how to know them."""

    user: User
    password_hash: str


@dataclass(frozen=True, slots=True, repr=False)
class Rotation:
    """The last rotation of the session that a retired refresh token belongs to."""

    session_id: uuid.UUID
    user: User
    predecessor_hash: bytes
    """The token that was put out by it."""
    successor_salt: bytes
    rotated_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OfferedAction:
    """An action that can be started, in its newest edition. Its answers stay where they are."""

    action_id: str
    version: int
    title: str
    prompt: str
    points: int
    repeat: Repeat
    min_ms: int
    board_id: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt with an action token, counted."""

    number: int
    solved_by: int | None
    """The number of the attempt that was right, if one was."""


class Store:
    """The tables of the gateway. Where PostgreSQL is away, every method raises UnavailableError."""

    def __init__(self, pool: AsyncConnectionPool[_Connection]) -> None:
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(
        cls, dsn: str, *, password: str | None = None, prepare_threshold: int | None = 5, pool_max: int = 10
    ) -> AsyncIterator[Self]:
        """Open the pool, whether or not the database is there, and close it at the end.

        Args:
            dsn: libpq connection string of the runtime role.
            password: the role's password, if the DSN does not have it.
            prepare_threshold: None behind a pooler that does not keep prepared statements.
            pool_max: connections at most.
        """
        pool = AsyncConnectionPool(
            make_conninfo(dsn, password=password, **_CONNECTION),
            connection_class=_Connection,
            kwargs={"autocommit": True, "row_factory": dict_row, "prepare_threshold": prepare_threshold},
            min_size=1,
            max_size=pool_max,
            max_waiting=200,
            timeout=_WAIT_SECONDS,
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

    async def read_schema_revision(self) -> str:
        """Tell which revision the schema has."""
        row = await self._row("read_schema_revision")
        return "" if row is None else str(row["revision"])

    async def add_account(self, user: User, password_hash: str) -> None:
        """Make an account. Raises UsernameTakenError."""
        await self._execute(
            "add_account", user_id=user.user_id, username=user.username, password_hash=password_hash
        )

    async def find_account(self, username: str) -> Account | None:
        """Find an account by its name, whatever the letter case."""
        row = await self._row("find_account", username=username)
        return row and Account(_user(row), row["password_hash"])

    async def replace_password_hash(self, user_id: str, *, outdated_hash: str, password_hash: str) -> None:
        """Put a new hash of the same password in the place of the one that was read."""
        await self._execute(
            "replace_password_hash", user_id=user_id, outdated_hash=outdated_hash, password_hash=password_hash
        )

    async def get_usernames(self, user_ids: Collection[str]) -> dict[str, str]:
        """Name the users of these ids; unknown ones are left out."""
        rows = await self._rows("get_usernames", user_ids=list(user_ids))
        return {row["user_id"]: row["username"] for row in rows}

    async def add_session(self, user_id: str, *, token_hash: bytes, expires_at: datetime) -> None:
        """Begin a session with its first refresh token."""
        session_id = uuid.uuid4()
        await self._execute(
            "add_session",
            session_id=session_id,
            user_id=user_id,
            token_hash=token_hash,
            expires_at=expires_at,
        )

    async def rotate_session(
        self,
        *,
        token_hash: bytes,
        successor_hash: bytes,
        successor_salt: bytes,
        now: datetime,
        expires_at: datetime,
    ) -> User | None:
        """Put the successor in the place of a session's good token. None if it is not good; one wins."""
        row = await self._row(
            "rotate_session",
            token_hash=token_hash,
            successor_hash=successor_hash,
            successor_salt=successor_salt,
            now=now,
            expires_at=expires_at,
        )
        return row and _user(row)

    async def find_rotation(self, token_hash: bytes) -> Rotation | None:
        """Find the session that a refresh token was good for, if the token was ever good."""
        row = await self._row("find_rotation", token_hash=token_hash)
        return row and Rotation(
            session_id=row["session_id"],
            user=_user(row),
            predecessor_hash=row["predecessor_hash"],
            successor_salt=row["successor_salt"],
            rotated_at=row["rotated_at"],
            expires_at=row["expires_at"],
        )

    async def end_session(self, session_id: uuid.UUID) -> None:
        """End a session with all its tokens."""
        await self._execute("end_session", session_id=session_id)

    async def end_session_of_token(self, token_hash: bytes) -> None:
        """End the session that a refresh token is or was good for, if there is one."""
        await self._execute("end_session_of_token", token_hash=token_hash)

    async def list_actions(self) -> list[OfferedAction]:
        """List the actions that can be started, in the order of the catalog."""
        return [_offered(row) for row in await self._rows("list_actions")]

    async def get_action(self, action_id: str) -> OfferedAction:
        """Get an action that can be started. Raises ActionNotFoundError."""
        row = await self._row("get_action", action_id=action_id)
        if row is None:
            raise ActionNotFoundError
        return _offered(row)

    async def get_answers(self, action_id: str, version: int) -> list[str]:
        """Get the right answers of an edition of an action.

        Raises:
            BadActionTokenError: there was never such an edition.
        """
        row = await self._row("get_answers", action_id=action_id, version=version)
        if row is None:
            raise BadActionTokenError
        answers: list[str] = row["answers"]
        return answers

    async def reserve_attempt(
        self, nonce: uuid.UUID, *, right: bool, allowed: int, expires_at: datetime
    ) -> Attempt | None:
        """Count an attempt with an action token, and note whether it is right. None if none was left."""
        row = await self._row(
            "reserve_attempt", nonce=nonce, right=right, allowed=allowed, expires_at=expires_at
        )
        return row and Attempt(row["attempts"], row["solved_by"])

    async def is_solved(self, nonce: uuid.UUID) -> bool:
        """Tell whether an action token was answered rightly."""
        row = await self._row("is_solved", nonce=nonce)
        return row is not None and bool(row["solved"])

    async def delete_sessions(self, *, before: datetime, limit: int) -> int:
        """Forget sessions that expired before; tell how many."""
        return await self._execute("delete_sessions", before=before, limit=limit)

    async def delete_retired_tokens(self, *, before: datetime, limit: int) -> int:
        """Forget refresh tokens that were put out before; tell how many."""
        return await self._execute("delete_retired_tokens", before=before, limit=limit)

    async def delete_action_tokens(self, *, before: datetime, limit: int) -> int:
        """Forget attempts with action tokens that expired before; tell how many."""
        return await self._execute("delete_action_tokens", before=before, limit=limit)

    async def _row(self, statement: str, **parameters: object) -> Any:
        async with self._connection() as connection:
            cursor = await connection.execute(load_statement(statement), parameters)
            return await cursor.fetchone()

    async def _rows(self, statement: str, **parameters: object) -> list[DictRow]:
        async with self._connection() as connection:
            cursor = await connection.execute(load_statement(statement), parameters)
            return await cursor.fetchall()

    async def _execute(self, statement: str, **parameters: object) -> int:
        async with self._connection() as connection:
            cursor = await connection.execute(load_statement(statement), parameters)
            return cursor.rowcount

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[_Connection]:
        try:
            async with self._pool.connection() as connection, _deadline(connection):
                yield connection
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name == "account_username_key":
                raise UsernameTakenError from error
            raise
        except _AWAY as error:
            _log.warning("store_unavailable", fault=type(error).__name__, said=str(error).partition("\n")[0])
            raise UnavailableError from error


def _user(row: DictRow) -> User:
    return User(row["user_id"], row["username"])


def _offered(row: DictRow) -> OfferedAction:
    return OfferedAction(**{**row, "repeat": Repeat(row["repeat"])})


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
