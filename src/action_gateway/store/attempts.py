"""Attempts with action tokens, counted: all that come while one statement is under way share the next one.

A statement is a commit, and a commit waits for the disk and for standbys, whether it counts one attempt or a
hundred.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Final

from action_gateway.store.database import Database
from service_runtime.batching.batches import Batches

_BATCH_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt with an action token, counted."""

    number: int
    solved_by: int | None
    """The number of the attempt that was right, if one was."""


@dataclass(frozen=True, slots=True)
class _Reservation:
    """An attempt to be counted."""

    nonce: uuid.UUID
    user_id: str
    right: bool
    expires_at: datetime


class Attempts:
    """Counts attempts. While PostgreSQL is unavailable, that raises UnavailableError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batches = dict[int, Batches[_Reservation, Attempt | None]]()
        """By the number of attempts that a token has."""

    async def reserve(
        self, nonce: uuid.UUID, *, user_id: str, right: bool, allowed: int, expires_at: datetime
    ) -> Attempt | None:
        """Count an attempt of a user with an action token, and note whether it is right.

        None if none was left, or the user has left.
        """
        batches = self._batches.get(allowed)
        if batches is None:
            run = partial(self._reserve, allowed)
            # A statement can count no two of the same token.
            batches = Batches("attempts", run, limit=_BATCH_MAX, key=attrgetter("nonce"))
            self._batches[allowed] = batches
        return await batches.add(_Reservation(nonce, user_id, right, expires_at))

    async def _reserve(self, allowed: int, batch: Sequence[_Reservation]) -> list[Attempt | None]:
        rows = await self._database.fetch_all(
            "reserve_attempts",
            nonces=[reservation.nonce for reservation in batch],
            user_ids=[reservation.user_id for reservation in batch],
            rights=[reservation.right for reservation in batch],
            expiries=[reservation.expires_at for reservation in batch],
            allowed=allowed,
        )
        counted = {row["nonce"]: Attempt(row["attempts"], row["solved_by"]) for row in rows}
        return [counted.get(reservation.nonce) for reservation in batch]
