"""PostgreSQL as the gateway uses it: statements by name, each sent once.

A statement whose connection was lost is not sent again, because some may not run twice. Every wait is
bounded, see `service_runtime.postgres.pool`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

from psycopg.rows import DictRow

from action_gateway import tracing
from action_gateway.errors import UnavailableError
from action_gateway.store.sql import load_statement
from service_runtime.postgres.pool import (
    UNAVAILABLE,
    Connection,
    Pool,
    PoolSettings,
    PoolUse,
    is_connection_lost,
    log_unavailable,
)

_APPLICATION_NAME: Final = "action-gateway"


class Database:
    """Runs the statements of `sql` by name. While PostgreSQL is unavailable, that raises UnavailableError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: PoolSettings) -> AsyncIterator[Self]:
        """Open the pool, whether or not the database is available, and close it at the end."""
        async with Pool.open(settings, _APPLICATION_NAME) as pool:
            yield cls(pool)

    @property
    def pool_use(self) -> PoolUse:
        """How much of the pool is in use now."""
        return self._pool.use

    async def fetch_one(self, statement: str, **parameters: object) -> DictRow | None:
        """Run a statement and return its first row, if it has one."""
        async with self._connection(statement) as connection:
            cursor = await connection.execute(load_statement(statement), parameters)
            return await cursor.fetchone()

    async def fetch_all(self, statement: str, **parameters: object) -> list[DictRow]:
        """Run a statement and return its rows."""
        async with self._connection(statement) as connection:
            cursor = await connection.execute(load_statement(statement), parameters)
            return await cursor.fetchall()

    async def execute(self, statement: str, **parameters: object) -> int:
        """Run a statement and return how many rows it changed."""
        async with self._connection(statement) as connection:
            cursor = await connection.execute(load_statement(statement), parameters)
            return cursor.rowcount

    @asynccontextmanager
    async def _connection(self, statement: str) -> AsyncIterator[Connection]:
        began = asyncio.get_running_loop().time()
        try:
            with tracing.statement(statement):
                async with self._pool.connection() as connection:
                    yield connection
        except UNAVAILABLE as error:
            log_unavailable(statement, error)
            if is_connection_lost(error):
                await self._pool.renew(began)
            raise UnavailableError from error
