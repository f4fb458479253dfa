"""A Redis whose `maxmemory` is reached: nothing that writes to a board goes on, and what makes room does."""

from collections.abc import AsyncIterator

import pytest
from tests.fixtures.servers.rejecting_redis import RejectingRedis
from tests.score_service.projection.test_projection import at, step

from score_service.domain.board.period import ALL_TIME
from score_service.domain.standings.checkpoint import Checkpoint
from score_service.errors import ProjectionUnavailableError
from score_service.projection.generation import Source
from score_service.projection.projection import Projection, ProjectionSettings


@pytest.fixture
async def projection(rejecting_redis: RejectingRedis, redis_prefix: str) -> AsyncIterator[Projection]:
    settings = ProjectionSettings(rejecting_redis.access, prefix=redis_prefix, timeout=5)
    async with Projection.open(settings) as projection:
        yield projection


async def test_batch_with_a_known_user_does_not_grow_the_memory(
    rejecting_redis: RejectingRedis, projection: Projection
) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))
    await rejecting_redis.reject("full")
    more = [(f"user{number}", 1, number) for number in range(3, 1000)]

    with pytest.raises(ProjectionUnavailableError):
        await projection.apply_changes(step(1, 999, ("ada", 9, 2), *more))

    header = await projection.read_header("main")
    assert header
    assert header.position == at(1)
    reading = await projection.get_standings("main", ["ada", "user3"])
    assert reading
    assert [(standing.user_id, standing.total) for standing in reading.users] == [("ada", 5)]


async def test_generation_is_not_loaded_and_what_is_left_of_it_is_removed(
    rejecting_redis: RejectingRedis, projection: Projection
) -> None:
    generation, checkpoint = projection.make_generation("main", None), Checkpoint.begin(at(3))
    assert await generation.load({ALL_TIME: "ada 5 1"}, checkpoint, source=Source.NEW_PAGE)
    await rejecting_redis.reject("full")

    with pytest.raises(ProjectionUnavailableError):
        await generation.load({ALL_TIME: "ada 9 2\nbob 1 3"}, checkpoint)
    await generation.discard()

    assert await rejecting_redis.ask("DBSIZE") == 0


async def test_board_that_nobody_must_read_is_dropped(
    rejecting_redis: RejectingRedis, projection: Projection
) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))
    header = await projection.read_header("main")
    assert header
    await rejecting_redis.reject("full")

    await projection.drop_board("main", header)

    assert await rejecting_redis.ask("DBSIZE") == 0
