"""PostgreSQL as the gateway uses it: statements by name, each sent once.

A statement whose connection was lost is not sent again, because some may not run twice. Every wait is
bounded, see `service_runtime.postgres.pool`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg.rows import DictRow

from action_gateway import tracing
from action_gateway.errors import UnavailableError
from action_gateway.store.sql import load_statement
from service_runtime.postgres.pool import UNAVAILABLE, Connection, Pool


class Database(Pool):
    """Runs the statements of `sql` by name. While PostgreSQL is unavailable, that raises UnavailableError."""

    application_name = "action-gateway"

    async def fetch_one(self, statement: str, **parameters: object) -> DictRow | None:
        """Run a statement and return its first row, if it has one."""
        async with self._run(statement) as connection:
            cursor = await connection.execute(load_statement(statement), parameters)
            return await cursor.fetchone()

    async def fetch_all(self, statement: str, **parameters: object) -> list[DictRow]:
        """Run a statement and return its rows."""
        async with self._run(statement) as connection:
            cursor = await connection.execute(load_statement(statement), parameters)
            return await cursor.fetchall()

    async def execute(self, statement: str, **parameters: object) -> int:
        """Run a statement and return how many rows it changed."""
        async with self._run(statement) as connection:
            cursor = await connection.execute(load_statement(statement), parameters)
            return cursor.rowcount

    @asynccontextmanager
    async def _run(self, statement: str) -> AsyncIterator[Connection]:
        began = asyncio.get_running_loop().time()
        try:
            with tracing.statement(statement):
                async with self.connection() as connection:
                    yield connection
        except UNAVAILABLE as error:
            await self.note_unavailable(statement, error, began)
            raise UnavailableError from error
