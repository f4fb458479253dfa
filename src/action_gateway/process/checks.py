"""Looks at the parts that a gateway needs, for `health.py`: what is missing of each, if anything is."""

from action_gateway.edge.health import NEEDED_ALWAYS, Check
from action_gateway.leaderboard.feed import Feed
from action_gateway.limits.redis_storage import Counters
from action_gateway.store.store import REQUIRED_REVISION, Store
from score_client.client import ScoreClient


def checks_of(store: Store, counters: Counters, score_client: ScoreClient, feed: Feed) -> dict[str, Check]:
    """Make the checks, by the names that are told."""

    async def look_at_database() -> str | None:
        revision = await store.read_schema_revision()
        return None if revision >= REQUIRED_REVISION else "has an old schema; run `action-gateway migrate`"

    async def look_at_redis() -> str | None:
        await counters.ping()
        return None

    async def look_at_score_service() -> str | None:
        await score_client.ping()
        return None

    async def look_at_leaderboard() -> str | None:
        return feed.problem

    return {
        NEEDED_ALWAYS: look_at_database,
        "redis": look_at_redis,
        "score_service": look_at_score_service,
        "leaderboard": look_at_leaderboard,
    }
