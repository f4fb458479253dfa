"""Departures: accounts that were deleted, and what is left to be done about each.

An account and all that belongs to it are gone at once. What cannot be in that transaction, such as hiding the
user on the boards of the score service, is noted in it, and is done until it is done, by any process.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from action_gateway.store.database import Database


@dataclass(frozen=True, slots=True)
class Departure:
    """Who has left, and when. In the order of both."""

    departed_at: datetime
    user_id: str


@dataclass(frozen=True, slots=True)
class DepartureTask:
    """Something left to be done about a departure."""

    user_id: str
    hides: bool
    """The user is to be hidden on every board."""
    settled: bool
    """Nothing that the user had begun can still be under way."""


class Departures:
    """The departures. While PostgreSQL is unavailable, every method raises UnavailableError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def delete_account(
        self,
        user_id: str,
        *,
        name_hash: bytes | None,
        free_at: datetime,
        hides: bool,
        settled_after: timedelta,
    ) -> bool:
        """Delete an account with all that belongs to it. False if there was none.

        Args:
            user_id: Whose account.
            name_hash: Of its name, which cannot be taken until `free_at`; None to let it be taken at once.
            free_at: See there.
            hides: Whether the user is to be hidden on every board.
            settled_after: After which time nothing that the user had begun can still be under way.
        """
        deleted = await self._database.execute(
            "delete_account",
            user_id=user_id,
            name_hash=name_hash,
            free_at=free_at,
            hides=hides,
            settled_after=settled_after,
        )
        return deleted == 1

    async def has_departed(self, user_id: str) -> bool:
        """Return whether this was the id of an account."""
        row = await self._database.fetch_one("has_departed", user_id=user_id)
        return row is not None and bool(row["departed"])

    async def list_after(self, last: Departure, *, limit: int) -> list[Departure]:
        """List the departures after one, in order, as far as they are not finished."""
        rows = await self._database.fetch_all(
            "list_departures", after=last.departed_at, after_user_id=last.user_id, limit=limit
        )
        return [Departure(row["departed_at"], row["user_id"]) for row in rows]

    async def claim(self, *, pause: timedelta, settled_after: timedelta, limit: int) -> list[DepartureTask]:
        """Take departures that have something left to be done. Nobody else gets them during the pause."""
        rows = await self._database.fetch_all(
            "claim_departures", pause=pause, settled_after=settled_after, limit=limit
        )
        return [DepartureTask(row["user_id"], row["hides"], row["settled"]) for row in rows]

    async def postpone(self, user_id: str, *, settled_after: timedelta) -> None:
        """Put a departure off until it is settled."""
        await self._database.execute("postpone_departure", user_id=user_id, settled_after=settled_after)

    async def finish(self, user_id: str) -> None:
        """Delete what was under way while the account was, and keep of the departure the id alone."""
        await self._database.execute("finish_departure", user_id=user_id)
