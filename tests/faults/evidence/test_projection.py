"""Redis as the checker reads it, beside what was put into it."""

import pytest
from redis.asyncio import Redis
from tests.fixtures.servers.stores import make_award

from faults.evidence.projection import read_projections
from faults.model.projection import ALL_TIME
from score_service.projection.projection import Projection
from score_service.record.ledger import Ledger


@pytest.fixture
async def projected(ledger: Ledger, projection: Projection) -> str:
    """Project two awards, and return the position."""
    batch = await ledger.record_awards("main", [make_award("ada", 5), make_award("ben", 7)])
    await projection.apply_changes(batch.changes)
    return str(batch.changes.after)


async def test_header_ranks_and_totals_are_read(projected: str, redis_url: str, redis_prefix: str) -> None:
    (board,) = await read_projections(redis_url, redis_prefix, ["main"])

    assert board.header
    assert f"{board.header.revision}-{board.header.mark}" == projected
    standings = board.periods[ALL_TIME]
    assert standings.members == "2"
    assert [(member[16:], score) for member, score in standings.ranks] == [("ben", "7"), ("ada", "5")]
    assert dict(standings.totals) == {"ada": "5:1", "ben": "7:2"}
    assert board.strays == []


async def test_board_that_is_not_there_is_empty(redis_url: str, redis_prefix: str) -> None:
    (board,) = await read_projections(redis_url, redis_prefix, ["main"])

    assert (board.header, board.periods) == (None, {})


async def test_keys_that_nothing_names_are_found(projected: str, redis_url: str, redis_prefix: str) -> None:
    async with Redis.from_url(redis_url) as client:
        await client.set(f"{redis_prefix}{{main}}:lost:all_time:ranks", "1")
        await client.set(f"{redis_prefix}{{main}}:ending:all_time:ranks", "1", ex=60)
        await client.set(f"{redis_prefix}{{mainland}}:x", "1")

    (board,) = await read_projections(redis_url, redis_prefix, ["main"])

    assert board.strays == [f"{redis_prefix}{{main}}:lost:all_time:ranks"]
