"""Only a projection of the record is left to be read."""

import pytest
from redis.asyncio import Redis
from tests.fixtures.servers.redis import delete_keys
from tests.fixtures.servers.stores import make_award

from score_service.projection.projection import Projection
from score_service.reconcile.headers import Headers
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.record.ledger import Ledger


@pytest.fixture
def headers(ledger: Ledger, projection: Projection) -> Headers:
    return Headers(ledger, projection)


@pytest.mark.parametrize("lost", [":ranks", ":totals"])
async def test_header_whose_key_was_evicted_is_dropped(
    ledger: Ledger,
    projection: Projection,
    rebuilder: Rebuilder,
    headers: Headers,
    redis: Redis,
    redis_url: str,
    redis_prefix: str,
    lost: str,
) -> None:
    await ledger.record_awards("main", [make_award("ada"), make_award("bob")])
    await rebuilder.rebuild("main")
    await delete_keys(redis_url, redis_prefix, lost)

    assert await projection.get_standings("main", (), 10) is None
    assert await headers.find("main") is None
    assert [key async for key in redis.scan_iter(f"{redis_prefix}*")] == []


async def test_header_of_the_record_is_found(ledger: Ledger, rebuilder: Rebuilder, headers: Headers) -> None:
    await ledger.record_awards("main", [make_award()])
    rebuilt = await rebuilder.rebuild("main")

    header = await headers.find("main")

    assert header
    assert rebuilt
    assert header.position == rebuilt.position
