"""Looks at the parts that a gateway needs, for `health.py`: what is missing of each, if anything is."""

from contextlib import suppress
from typing import Final
from uuid import UUID

from redis.asyncio import Redis

from action_gateway.health import Check
from action_gateway.store import REQUIRED_REVISION, Store
from score_client.client import ScoreClient
from score_client.errors import NotFoundError

_NOBODYS_AWARD: Final = UUID(int=0)


def checks_of(store: Store, redis: Redis, score_client: ScoreClient, board_id: str) -> dict[str, Check]:
    """Make the checks, by the names that are told."""

    async def look_at_database() -> str | None:
        revision = await store.read_schema_revision()
        return None if revision >= REQUIRED_REVISION else "has an old schema; run `action-gateway migrate`"

    async def look_at_redis() -> str | None:
        await redis.ping()
        return None

    async def look_at_score_service() -> str | None:
        with suppress(NotFoundError):
            await score_client.get_award(board_id=board_id, award_id=_NOBODYS_AWARD)
        return None

    return {"database": look_at_database, "redis": look_at_redis, "score_service": look_at_score_service}
