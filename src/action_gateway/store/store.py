"""What the gateway keeps in PostgreSQL: accounts, sessions, actions and attempts.

Every method is one statement and one transaction; that of an attempt counts others, too. Passwords and tokens
arrive here as hashes, and answers do not arrive at all.
"""

import uuid
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Self

import psycopg
from psycopg.rows import DictRow

from action_gateway import tracing
from action_gateway.domain.action import Kind, Repeat
from action_gateway.domain.answer_key import AnswerKey
from action_gateway.domain.number import Number
from action_gateway.errors import ActionNotFoundError, BadActionTokenError, UsernameTakenError
from action_gateway.store.attempts import Attempt, Attempts
from action_gateway.store.database import Database
from action_gateway.store.departures import Departures
from action_gateway.store.roles import Roles
from action_gateway.store.suspicions import SuspicionRows
from service_runtime.postgres.pool import PoolSettings, PoolUse
from service_runtime.postgres.schema import Schema

REQUIRED_REVISION: Final = "0005"
"""The oldest schema that this code works with."""


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
class AccountDetails(Account):
    """An account, since when there is one, and what it may do beyond playing."""

    created_at: datetime
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that can be continued, until when, and when it was last."""

    expires_at: datetime
    renewed_at: datetime | None


@dataclass(frozen=True, slots=True, repr=False)
class Rotation:
    """The last rotation of the session that a retired refresh token belongs to."""

    session_id: uuid.UUID
    user: User
    predecessor_hash: bytes
    """The token that was put out by it."""
    successor_salt: bytes
    key_hash: bytes | None
    """Of the Idempotency-Key that came with it, if one did."""
    rotated_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OfferedAction:
    """An action that can be done, in its newest edition. Its answers stay where they are."""

    action_id: str
    kind: Kind
    version: int
    title: str
    prompt: str
    points: int
    repeat: Repeat
    min_ms: int
    board_id: str | None
    per_minute: int
    """How often a user may perform it in a minute; 0 for a puzzle."""


class Store:
    """The tables of the gateway. While PostgreSQL is unavailable, every method raises UnavailableError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._attempts = Attempts(database)
        self.departures = Departures(database)
        self.roles = Roles(database)
        self.suspicions = SuspicionRows(database)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: PoolSettings) -> AsyncIterator[Self]:
        """Open the store, whether or not PostgreSQL is available, and close it at the end."""
        async with Database.open(settings) as database:
            yield cls(database)

    @property
    def pool_use(self) -> PoolUse:
        """How much of the pool of connections is in use now."""
        return self._database.use

    async def read_schema(self) -> Schema:
        """Return how the schema stands."""
        row = await self._database.fetch_one("read_schema")
        return Schema(**row) if row else Schema("", is_read_only=False)

    async def add_account(
        self, user: User, password_hash: str, *, name_hash: bytes | None = None, now: datetime | None = None
    ) -> None:
        """Make an account. Raises UsernameTakenError, also for a name that was given up and is not free now.

        Args:
            user: Who it is for.
            password_hash: Of the password.
            name_hash: Of the name, as `delete_account` has kept it; None where none are kept.
            now: When it is.
        """
        try:
            await self._database.execute(
                "add_account",
                user_id=user.user_id,
                username=user.username,
                password_hash=password_hash,
                name_hash=name_hash,
                now=now,
            )
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name == "account_username_key":
                raise UsernameTakenError from error
            raise

    async def find_account(self, username: str) -> Account | None:
        """Find an account by its name, whatever the letter case."""
        row = await self._database.fetch_one("find_account", username=username)
        return Account(_user(row), row["password_hash"]) if row else None

    async def get_account(self, user_id: str) -> AccountDetails | None:
        """Get the account of a user."""
        row = await self._database.fetch_one("get_account", user_id=user_id)
        if row is None:
            return None
        return AccountDetails(_user(row), row["password_hash"], row["created_at"], tuple(row["roles"]))

    async def list_sessions(self, user_id: str, *, now: datetime, limit: int) -> list[OpenSession]:
        """List the sessions of a user that can be continued."""
        rows = await self._database.fetch_all("list_sessions", user_id=user_id, now=now, limit=limit)
        return [OpenSession(row["expires_at"], row["renewed_at"]) for row in rows]

    async def replace_password_hash(self, user_id: str, *, outdated_hash: str, password_hash: str) -> None:
        """Put a new hash of the same password in the place of the one that was read."""
        await self._database.execute(
            "replace_password_hash", user_id=user_id, outdated_hash=outdated_hash, password_hash=password_hash
        )

    async def get_usernames(self, user_ids: Collection[str]) -> dict[str, str | None]:
        """Name the users of these ids; None for those who have left, and unknown ones are left out."""
        rows = await self._database.fetch_all("get_usernames", user_ids=list(user_ids))
        return {row["user_id"]: row["username"] for row in rows}

    async def add_session(self, user_id: str, *, token_hash: bytes, expires_at: datetime) -> bool:
        """Begin a session with its first refresh token. False if the account is gone."""
        session_id = uuid.uuid4()
        try:
            await self._database.execute(
                "add_session",
                session_id=session_id,
                user_id=user_id,
                token_hash=token_hash,
                expires_at=expires_at,
            )
        except psycopg.errors.ForeignKeyViolation:
            return False
        return True

    async def rotate_session(
        self,
        *,
        token_hash: bytes,
        successor_hash: bytes,
        successor_salt: bytes,
        key_hash: bytes | None,
        now: datetime,
        expires_at: datetime,
    ) -> User | None:
        """Put the successor in the place of a session's good token. None if it is not good; one wins."""
        row = await self._database.fetch_one(
            "rotate_session",
            token_hash=token_hash,
            successor_hash=successor_hash,
            successor_salt=successor_salt,
            key_hash=key_hash,
            now=now,
            expires_at=expires_at,
        )
        return _user(row) if row else None

    async def find_rotation(self, token_hash: bytes) -> Rotation | None:
        """Find the session that a refresh token was good for, if the token was ever good."""
        row = await self._database.fetch_one("find_rotation", token_hash=token_hash)
        return _rotation(row) if row else None

    async def end_session(self, session_id: uuid.UUID) -> None:
        """End a session with all its tokens."""
        await self._database.execute("end_session", session_id=session_id)

    async def end_session_of_token(self, token_hash: bytes) -> None:
        """End the session that a refresh token is or was good for, if there is one."""
        await self._database.execute("end_session_of_token", token_hash=token_hash)

    async def list_boards(self) -> list[str]:
        """List the boards that an action names, or has ever named."""
        return [row["board_id"] for row in await self._database.fetch_all("list_boards")]

    async def list_actions(self) -> list[OfferedAction]:
        """List the actions that can be started, in the order of the catalog."""
        return [_offered(row) for row in await self._database.fetch_all("list_actions")]

    async def get_action(self, action_id: str) -> OfferedAction:
        """Get an action that can be started. Raises ActionNotFoundError."""
        row = await self._database.fetch_one("get_action", action_id=action_id)
        if row is None:
            raise ActionNotFoundError
        return _offered(row)

    async def get_answers(self, action_id: str, version: int) -> AnswerKey:
        """Get what is right of an edition of an action.

        Raises:
            BadActionTokenError: there was never such an edition.
        """
        row = await self._database.fetch_one("get_answers", action_id=action_id, version=version)
        if row is None:
            raise BadActionTokenError
        return AnswerKey(row["answers"], _number(row["number"]) if row["number"] else None)

    async def reserve_attempt(
        self, nonce: uuid.UUID, *, user_id: str, right: bool, allowed: int, expires_at: datetime
    ) -> Attempt | None:
        """Count an attempt of a user with an action token, and note whether it is right.

        None if none was left, or the user has left.
        """
        with tracing.statement("reserve_attempt"):
            return await self._attempts.reserve(
                nonce, user_id=user_id, right=right, allowed=allowed, expires_at=expires_at
            )

    async def is_solved(self, nonce: uuid.UUID) -> bool:
        """Return whether an action token was answered rightly."""
        row = await self._database.fetch_one("is_solved", nonce=nonce)
        return row is not None and bool(row["solved"])

    async def delete_sessions(self, *, before: datetime, limit: int) -> int:
        """Forget sessions that expired before; tell how many."""
        return await self._database.execute("delete_sessions", before=before, limit=limit)

    async def delete_retired_tokens(self, *, before: datetime, limit: int) -> int:
        """Forget refresh tokens that were put out before; tell how many."""
        return await self._database.execute("delete_retired_tokens", before=before, limit=limit)

    async def delete_action_tokens(self, *, before: datetime, limit: int) -> int:
        """Forget attempts with action tokens that expired before; tell how many."""
        return await self._database.execute("delete_action_tokens", before=before, limit=limit)

    async def delete_freed_names(self, *, before: datetime, limit: int) -> int:
        """Forget names that were free before; tell how many."""
        return await self._database.execute("delete_freed_names", before=before, limit=limit)


def _user(row: DictRow) -> User:
    return User(row["user_id"], row["username"])


def _rotation(row: DictRow) -> Rotation:
    return Rotation(
        session_id=row["session_id"],
        user=_user(row),
        predecessor_hash=row["predecessor_hash"],
        successor_salt=row["successor_salt"],
        key_hash=row["rotation_key_hash"],
        rotated_at=row["rotated_at"],
        expires_at=row["expires_at"],
    )


def _number(stored: Mapping[str, Any]) -> Number:
    return Number(
        value=Decimal(stored["value"]),
        tolerance=Decimal(stored["tolerance"]),
        relative_tolerance=Decimal(stored["relative_tolerance"]),
        units=stored["units"],
    )


def _offered(row: DictRow) -> OfferedAction:
    return OfferedAction(**{**row, "kind": Kind(row["kind"]), "repeat": Repeat(row["repeat"])})
