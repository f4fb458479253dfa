"""Roles: what an account may do beyond playing. Only the role that owns the schema can change them."""

from enum import StrEnum, auto

from action_gateway.store.database import Database


class Role(StrEnum):
    """A role that an account can have."""

    MODERATOR = auto()


class Roles:
    """The roles. While PostgreSQL is unavailable, every method raises UnavailableError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def has(self, user_id: str, role: Role) -> bool:
        """Return whether a user has a role now."""
        row = await self._database.fetch_one("has_role", user_id=user_id, role=role)
        return row is not None and bool(row["granted"])

    async def grant(self, username: str, role: Role) -> str | None:
        """Give an account a role, as the owner role; return its user, None if there is none."""
        row = await self._database.fetch_one("grant_role", username=username, role=role)
        return str(row["user_id"]) if row else None

    async def revoke(self, username: str, role: Role) -> str | None:
        """Take a role from an account, as the owner role; return its user, None if there is none."""
        row = await self._database.fetch_one("revoke_role", username=username, role=role)
        return str(row["user_id"]) if row else None
