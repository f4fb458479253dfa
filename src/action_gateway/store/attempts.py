"""Attempts with action tokens, counted: all that come while one statement is under way share the next one.

A statement is a commit, and a commit waits for the disk and for standbys, whether it counts one attempt or a
hundred. No attempt waits for others to come.
"""

import asyncio
import contextvars
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from action_gateway.store.database import Database

_BATCH_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt with an action token, counted."""

    number: int
    solved_by: int | None
    """The number of the attempt that was right, if one was."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An attempt to be counted, and who waits for it."""

    nonce: uuid.UUID
    right: bool
    allowed: int
    expires_at: datetime
    outcome: asyncio.Future[Attempt | None]


class Attempts:
    """Counts attempts. While PostgreSQL is unavailable, that raises UnavailableError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue = deque[_Waiting]()
        self._counting: asyncio.Task[None] | None = None

    async def reserve(
        self, nonce: uuid.UUID, *, right: bool, allowed: int, expires_at: datetime
    ) -> Attempt | None:
        """Count an attempt with an action token, and note whether it is right. None if none was left."""
        outcome: asyncio.Future[Attempt | None] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(nonce, right, allowed, expires_at, outcome))
        if self._counting is None:
            # Not in the context of a request: what is logged of the statement is of all of them.
            self._counting = asyncio.create_task(
                self._count(), name="attempts", context=contextvars.Context()
            )
        return await outcome

    async def _count(self) -> None:
        try:
            while batch := self._take():
                await self._reserve(batch)
        finally:
            self._counting = None

    def _take(self) -> Sequence[_Waiting]:
        """Take the next ones, of which a statement can count no two of the same token."""
        batch = dict[uuid.UUID, _Waiting]()
        left = deque[_Waiting]()
        allowed = self._queue[0].allowed if self._queue else 0
        while self._queue and len(batch) < _BATCH_MAX:
            waiting = self._queue.popleft()
            if waiting.outcome.done():
                continue  # Given up.
            if waiting.nonce in batch or waiting.allowed != allowed:
                left.append(waiting)
            else:
                batch[waiting.nonce] = waiting
        self._queue.extendleft(reversed(left))
        return list(batch.values())

    async def _reserve(self, batch: Sequence[_Waiting]) -> None:
        try:
            rows = await self._database.fetch_all(
                "reserve_attempts",
                nonces=[waiting.nonce for waiting in batch],
                rights=[waiting.right for waiting in batch],
                expiries=[waiting.expires_at for waiting in batch],
                allowed=batch[0].allowed,
            )
        except Exception as error:  # noqa: BLE001 - Each of those who wait is told.
            for waiting in batch:
                if not waiting.outcome.done():
                    waiting.outcome.set_exception(error)
            return
        counted = {row["nonce"]: Attempt(row["attempts"], row["solved_by"]) for row in rows}
        for waiting in batch:
            if not waiting.outcome.done():
                waiting.outcome.set_result(counted.get(waiting.nonce))
