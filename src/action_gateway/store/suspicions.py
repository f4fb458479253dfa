"""Suspicions of accounts: one row for each account and signal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from action_gateway.store.database import Database


@dataclass(frozen=True, slots=True)
class Noted:
    """What was noted of a user since the last time."""

    user_id: str
    signal: str
    first_at: datetime
    last_at: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Suspected(Noted):
    """All that was noted of a user, whose name it has."""

    username: str


class SuspicionRows:
    """The suspicions. While PostgreSQL is unavailable, every method raises UnavailableError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, noted: Sequence[Noted]) -> None:
        """Add what was noted of users, each user and signal once; users without an account are left out."""
        await self._database.execute(
            "add_suspicions",
            user_ids=[one.user_id for one in noted],
            signals=[one.signal for one in noted],
            firsts=[one.first_at for one in noted],
            lasts=[one.last_at for one in noted],
            counts=[one.count for one in noted],
        )

    async def list(self, *, user_id: str | None = None, limit: int) -> list[Suspected]:
        """List suspicions of one user, or of all, the newest first."""
        rows = await self._database.fetch_all("list_suspicions", user_id=user_id, limit=limit)
        return [Suspected(**row) for row in rows]

    async def dismiss(self, user_id: str, signal: str, *, last_at: datetime) -> bool:
        """Forget a suspicion, unless there is more of it after a time; tell whether that was done."""
        dismissed = await self._database.execute(
            "dismiss_suspicion", user_id=user_id, signal=signal, last_at=last_at
        )
        return dismissed == 1

    async def delete_old(self, *, before: datetime, limit: int) -> int:
        """Forget suspicions of which nothing has happened since; tell how many."""
        return await self._database.execute("delete_suspicions", before=before, limit=limit)
