"""The tables of the relay. While PostgreSQL is unavailable, every method raises StoreUnavailableError.

Every statement may run twice, and is one transaction.
"""

import asyncio
import uuid
from collections.abc import Mapping
from typing import Final, NamedTuple

from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from score_relay.errors import NotHeldError, StoreUnavailableError
from score_relay.store.sql import load_statement
from service_runtime.postgres.pool import UNAVAILABLE, Connection, Pool, PoolSettings
from service_runtime.postgres.schema import Schema

REQUIRED_REVISION: Final = "0001"
"""The oldest schema that this code works with."""
HELD_SECONDS: Final = 15.0
"""For how long a process delivers that has said so. Another one takes its place soon after it was killed."""


class Route(NamedTuple):
    """A receiver, and a board that it is sent entries of."""

    receiver: str
    board_id: str


class Store(Pool):
    """What one process keeps, under an id of its own."""

    application_name = "score-relay"

    def __init__(self, pool: AsyncConnectionPool[Connection], settings: PoolSettings) -> None:
        super().__init__(pool, settings)
        self._holder = str(uuid.uuid4())

    async def claim(self, route: Route) -> str | None:
        """Begin to deliver, and return how far the receiver is; None if it was sent nothing yet.

        Raises:
            NotHeldError: another process delivers.
        """
        rows = await self._fetch_all(
            "claim_delivery",
            receiver=route.receiver,
            board_id=route.board_id,
            holder=self._holder,
            seconds=HELD_SECONDS,
        )
        if not rows:
            raise NotHeldError
        position: str | None = rows[0]["position"]
        return position

    async def save(self, positions: Mapping[Route, str | None], *, last: bool = False) -> set[Route]:
        """Keep how far receivers are; None where that has not changed.

        Args:
            positions: of the last entries that were dealt with.
            last: whether this process delivers to none of them any more.

        Returns:
            Those that this process still delivers to.
        """
        rows = await self._fetch_all(
            "save_deliveries",
            receivers=[route.receiver for route in positions],
            board_ids=[route.board_id for route in positions],
            positions=list(positions.values()),
            holder=self._holder,
            seconds=0.0 if last else HELD_SECONDS,
        )
        return {Route(row["receiver"], row["board_id"]) for row in rows}

    async def bury(
        self, route: Route, position: str, *, revision: int, attempts: int, reason: str, event: str
    ) -> None:
        """Keep an event that its receiver did not take, and that the receiver is past it.

        Raises:
            NotHeldError: another process delivers.
        """
        rows = await self._fetch_all(
            "bury_event",
            receiver=route.receiver,
            board_id=route.board_id,
            position=position,
            revision=revision,
            attempts=attempts,
            reason=reason,
            event=event,
            holder=self._holder,
        )
        if not rows:
            raise NotHeldError

    async def count_dead_letters(self) -> Mapping[str, int]:
        """Return how many dead letters receivers have."""
        return {row["receiver"]: row["letters"] for row in await self._fetch_all("count_dead_letters")}

    async def read_schema(self) -> Schema:
        """Return how the schema stands."""
        rows = await self._fetch_all("read_schema")
        return Schema(**rows[0]) if rows else Schema("", is_read_only=False)

    async def _fetch_all(self, statement: str, **parameters: object) -> list[DictRow]:
        began = asyncio.get_running_loop().time()
        try:
            async with self.connection() as connection:
                cursor = await connection.execute(load_statement(statement), parameters)
                return await cursor.fetchall()
        except UNAVAILABLE as error:
            await self.note_unavailable(statement, error, began)
            raise StoreUnavailableError from error
