"""What the gateway checks of its parts.

It is not ready until every part has been available: PostgreSQL with a schema that this code knows and can
write, Redis, the score service, and the leaderboard that is read from it. After that only PostgreSQL, or the
stop, makes it not ready. Without Redis players play on under local limits, and without the score service they
get problems that say when to come again. Taking every replica out of balance would turn both into refused
connections.
"""

from collections.abc import Mapping
from typing import Final

from limits.errors import StorageError

from action_gateway.leaderboard.feeds import Feeds
from action_gateway.limits.redis_storage import Counters
from action_gateway.store.store import REQUIRED_REVISION, Store
from score_client.client import ScoreClient
from service_runtime.readiness import Check
from service_runtime.redis.rejections import explain_rejection

DATABASE: Final = "database"


def checks_of(
    store: Store, counters: Counters, score_client: ScoreClient, feeds: Feeds
) -> Mapping[str, Check]:
    """Make the checks, by the names of the parts in reports and metrics."""

    async def check_database() -> str | None:
        schema = await store.read_schema()
        return schema.find_fault(REQUIRED_REVISION, "action-gateway")

    async def check_redis() -> str | None:
        try:
            await counters.check()
        except StorageError as error:
            if rejection := explain_rejection(error.__cause__):
                return rejection
            raise
        return None

    async def check_score_service() -> str | None:
        await score_client.ping()
        return None

    async def check_leaderboard() -> str | None:
        return feeds.problem

    return {
        DATABASE: check_database,
        "redis": check_redis,
        "score_service": check_score_service,
        "leaderboard": check_leaderboard,
    }
