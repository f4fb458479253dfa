"""A generation that is being made, on a real Valkey."""

import pytest
from redis.asyncio import Redis
from tests.fixtures.ledgers.headcounts import heads
from tests.fixtures.servers.redis import restore_keys, save_keys

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.changes import Change, Changes
from score_service.domain.ledger.position import Position
from score_service.domain.standings.checkpoint import Checkpoint
from score_service.projection.generation import Generation, Switched
from score_service.projection.keys import Keys
from score_service.projection.projection import Projection
from score_service.projection.replies import Header


def at(revision: int) -> Position:
    return Position(revision, f"{revision:016x}") if revision else Position.start("main")


def step(before: int, after: int, *changes: tuple[str, int, int]) -> Changes:
    return Changes("main", at(before), at(after), tuple(Change(*change) for change in changes))


async def header_of(projection: Projection) -> Header:
    header = await projection.read_header("main")
    assert header is not None
    return header


async def top_of(projection: Projection) -> list[tuple[str, int, int]]:
    reading = await projection.get_standings("main", (), 1000)
    assert reading is not None
    return [(s.user_id, s.total, s.reached_revision) for s in reading.top]


async def keys_of(redis: "Redis", prefix: str) -> set[str]:
    return {key async for key in redis.scan_iter(f"{prefix}*")}


async def load(generation: Generation, *standings: tuple[str, int, int]) -> bool:
    lines = "\n".join(f"{user} {total} {reached}" for user, total, reached in standings)
    return await generation.load({ALL_TIME: lines}, Checkpoint.begin(at(0)))


async def test_loaded_generation_is_read_after_the_switch_and_not_before(projection: Projection) -> None:
    generation = projection.make_generation("main", None)
    assert await load(generation, ("ada", 5, 1), ("bob", 9, 2))
    assert await load(generation, ("cyd", 7, 3))
    assert await projection.get_standings("main", (), 10) is None

    assert await generation.switch(at(3), {ALL_TIME: heads(3)}) is Switched.DONE

    assert await header_of(projection) == Header(generation.name, at(3), heads(3))
    assert await top_of(projection) == [("bob", 9, 2), ("cyd", 7, 3), ("ada", 5, 1)]


async def test_newest_standing_stays_in_whatever_order_they_are_loaded(projection: Projection) -> None:
    generation = projection.make_generation("main", None)
    await load(generation, ("ada", 9, 7), ("bob", 1, 1))
    await load(generation, ("ada", 5, 3), ("bob", 4, 5))

    assert await generation.switch(at(7), {ALL_TIME: heads(2)}) is Switched.DONE
    assert await top_of(projection) == [("ada", 9, 7), ("bob", 4, 5)]


async def test_pages_longer_than_a_call_may_be_are_loaded_whole(projection: Projection) -> None:
    standings = [(f"user{i:04}", 10_000 - i, i + 1) for i in range(3_333)]
    generation = projection.make_generation("main", None)
    await load(generation, *standings)

    assert await generation.switch(at(3_333), {ALL_TIME: heads(3_333)}) is Switched.DONE
    assert (await top_of(projection))[:1000] == standings[:1000]
    assert (await header_of(projection)).is_whole


async def test_changes_are_applied_to_the_new_generation_from_its_position(projection: Projection) -> None:
    generation = projection.make_generation("main", None)
    await load(generation, ("ada", 5, 1))
    await generation.switch(at(1), {ALL_TIME: heads(1)})

    await projection.apply_changes(step(1, 2, ("bob", 9, 2)))

    assert await top_of(projection) == [("bob", 9, 2), ("ada", 5, 1)]


async def test_keys_that_are_not_switched_in_go_by_themselves(
    projection: Projection, redis: "Redis", redis_prefix: str
) -> None:
    generation = projection.make_generation("main", None)
    await load(generation, ("ada", 5, 1))
    await load(generation, ("ada", 6, 2))

    keys = await keys_of(redis, redis_prefix)

    assert len(keys) == 4
    for key in keys:
        assert 0 < await redis.ttl(key) <= 120


async def test_switch_leaves_the_new_keys_for_good_and_nothing_else(
    projection: Projection, redis: "Redis", redis_prefix: str
) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))
    former = await keys_of(redis, redis_prefix)
    generation = projection.make_generation("main", await header_of(projection))
    await load(generation, ("ada", 5, 1), ("bob", 6, 2))

    await generation.switch(at(2), {ALL_TIME: heads(2)})

    keys = await keys_of(redis, redis_prefix)
    assert len(keys) == 3
    assert len(keys & former) == 1
    assert {await redis.ttl(key) for key in keys} == {-1}


async def test_keys_of_a_header_that_was_lost_are_removed_too(
    projection: Projection, redis: "Redis", redis_prefix: str
) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))
    await redis.delete(f"{redis_prefix}{{main}}:header")
    assert await projection.read_header("main") is None
    generation = projection.make_generation("main", None)
    await load(generation, ("ada", 5, 1))

    await generation.switch(at(1), {ALL_TIME: heads(1)})

    assert len(await keys_of(redis, redis_prefix)) == 3


async def test_only_one_of_two_generations_is_switched_in(projection: Projection) -> None:
    one, two = (projection.make_generation("main", None) for _ in range(2))
    await load(one, ("ada", 5, 1))
    await load(two, ("ada", 5, 1))

    assert await one.switch(at(1), {ALL_TIME: heads(1)}) is Switched.DONE
    assert await two.switch(at(1), {ALL_TIME: heads(1)}) is Switched.MOVED
    assert (await header_of(projection)).generation == one.name


async def test_switch_whose_answer_was_lost_may_be_made_again(projection: Projection) -> None:
    generation = projection.make_generation("main", None)
    await load(generation, ("ada", 5, 1))
    await generation.switch(at(1), {ALL_TIME: heads(1)})
    await projection.apply_changes(step(1, 2, ("ada", 6, 2)))

    assert await generation.switch(at(1), {ALL_TIME: heads(1)}) is Switched.DONE
    assert (await header_of(projection)).position == at(2)


async def test_board_that_went_further_than_the_generation_keeps_its_own(projection: Projection) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))
    generation = projection.make_generation("main", await header_of(projection))
    await load(generation, ("ada", 5, 1))
    await projection.apply_changes(step(1, 2, ("ada", 6, 2)))

    assert await generation.switch(at(1), {ALL_TIME: heads(1)}) is Switched.BEHIND
    assert await top_of(projection) == [("ada", 6, 2)]


async def test_board_that_went_on_but_less_far_takes_the_generation(projection: Projection) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))
    generation = projection.make_generation("main", await header_of(projection))
    await load(generation, ("ada", 7, 3))
    await projection.apply_changes(step(1, 2, ("ada", 6, 2)))

    assert await generation.switch(at(3), {ALL_TIME: heads(1)}) is Switched.DONE
    assert await top_of(projection) == [("ada", 7, 3)]


async def test_board_that_got_a_header_meanwhile_keeps_it(projection: Projection) -> None:
    generation = projection.make_generation("main", None)
    await load(generation, ("ada", 5, 1))
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))

    assert await generation.switch(at(1), {ALL_TIME: heads(1)}) is Switched.MOVED


async def test_board_whose_header_was_lost_meanwhile_waits_for_another_rebuild(
    projection: Projection, redis: "Redis", redis_prefix: str
) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))
    generation = projection.make_generation("main", await header_of(projection))
    await load(generation, ("ada", 5, 1))
    await redis.delete(f"{redis_prefix}{{main}}:header")

    assert await generation.switch(at(1), {ALL_TIME: heads(1)}) is Switched.MOVED


@pytest.mark.parametrize("members", [1, 3])
async def test_generation_with_another_number_of_members_is_not_switched_in(
    projection: Projection, members: int
) -> None:
    generation = projection.make_generation("main", None)
    await load(generation, ("ada", 5, 1), ("bob", 6, 2))

    assert await generation.switch(at(2), {ALL_TIME: heads(members)}) is Switched.LOST
    assert await projection.read_header("main") is None


@pytest.mark.parametrize("lost", ["ranks", "totals", "progress"])
async def test_generation_that_lost_a_key_is_not_switched_in(
    projection: Projection, redis: "Redis", redis_prefix: str, lost: str
) -> None:
    generation = projection.make_generation("main", None)
    await load(generation, ("ada", 5, 1))
    (key,) = [key for key in await keys_of(redis, redis_prefix) if key.endswith(f":{lost}")]
    await redis.delete(key)

    assert await generation.switch(at(1), {ALL_TIME: heads(1)}) is Switched.LOST


async def test_redis_that_stepped_back_is_found_out_though_the_members_are_as_many(
    projection: Projection, redis_url: str, redis_prefix: str
) -> None:
    generation = projection.make_generation("main", None)
    await load(generation, ("ada", 5, 1))
    saved = await save_keys(redis_url, redis_prefix)
    await load(generation, ("ada", 6, 2))
    await restore_keys(redis_url, redis_prefix, saved)

    assert await generation.switch(at(2), {ALL_TIME: heads(1)}) is Switched.LOST
    assert not await load(generation, ("ada", 7, 3))


async def test_step_that_arrives_again_much_later_changes_nothing(
    projection: Projection, redis_prefix: str, redis: "Redis"
) -> None:
    generation, late = projection.make_generation("main", None), projection.make_generation("main", None)
    await load(generation, ("ada", 5, 1))
    await generation.switch(at(1), {ALL_TIME: heads(1)})
    await projection.apply_changes(step(1, 2, ("ada", 6, 2)))
    late.name = generation.name

    assert not await load(late, ("ada", 5, 1))

    assert await top_of(projection) == [("ada", 6, 2)]
    assert {await redis.ttl(key) for key in await keys_of(redis, redis_prefix)} == {-1}


async def test_discarded_generation_leaves_nothing(
    projection: Projection, redis: "Redis", redis_prefix: str
) -> None:
    generation = projection.make_generation("main", None)
    await load(generation, ("ada", 5, 1))

    await generation.discard()

    assert await keys_of(redis, redis_prefix) == set()
    assert await generation.switch(at(1), {ALL_TIME: heads(1)}) is Switched.LOST


async def test_board_is_being_made_until_its_generation_is_switched_in(projection: Projection) -> None:
    generation = projection.make_generation("main", None)
    assert not await projection.is_being_made("main")

    await load(generation, ("ada", 5, 1))
    assert await projection.is_being_made("main")

    await generation.switch(at(1), {ALL_TIME: heads(1)})
    assert not await projection.is_being_made("main")


async def test_maker_that_gives_up_is_not_waited_for(projection: Projection) -> None:
    early, late = (projection.make_generation("main", None) for _ in range(2))
    await load(early, ("ada", 5, 1))
    await load(late, ("ada", 5, 1))

    await early.discard()
    assert await projection.is_being_made("main")

    await late.discard()
    assert not await projection.is_being_made("main")


async def test_generation_that_the_board_has_cannot_be_discarded(projection: Projection) -> None:
    generation = projection.make_generation("main", None)
    await load(generation, ("ada", 5, 1))
    await generation.switch(at(1), {ALL_TIME: heads(1)})

    await generation.discard()

    assert await top_of(projection) == [("ada", 5, 1)]


async def test_generation_is_continued_by_the_process_that_adopts_it(
    projection: Projection, redis: "Redis", redis_prefix: str
) -> None:
    former = projection.make_generation("main", None)
    await load(former, ("ada", 5, 1))
    await load(former, ("bob", 9, 2))

    adopted = await projection.adopt_generation("main", None)

    assert adopted
    assert adopted.checkpoint == former.checkpoint == Checkpoint.begin(at(0))
    assert len(await keys_of(redis, redis_prefix)) == 4
    for key in await keys_of(redis, redis_prefix):
        assert 0 < await redis.ttl(key) <= 120
    assert await load(adopted, ("cyd", 7, 3))
    assert await adopted.switch(at(3), {ALL_TIME: heads(3)}) is Switched.DONE
    assert await top_of(projection) == [("bob", 9, 2), ("cyd", 7, 3), ("ada", 5, 1)]
    assert len(await keys_of(redis, redis_prefix)) == 3


async def test_former_maker_of_an_adopted_generation_can_do_nothing_to_it(projection: Projection) -> None:
    former = projection.make_generation("main", None)
    await load(former, ("ada", 5, 1))
    adopted = await projection.adopt_generation("main", None)
    assert adopted

    assert not await load(former, ("ada", 9, 9))
    assert await former.switch(at(1), {ALL_TIME: heads(1)}) is Switched.LOST
    await former.discard()

    assert await adopted.switch(at(1), {ALL_TIME: heads(1)}) is Switched.DONE
    assert not await load(former, ("ada", 9, 9))
    assert await top_of(projection) == [("ada", 5, 1)]


async def test_adoption_whose_answer_was_lost_may_be_made_again(projection: Projection) -> None:
    former, later = (projection.make_generation("main", None) for _ in range(2))
    await load(former, ("ada", 5, 1))

    assert await later.adopt(former.name)
    assert await later.adopt(former.name)

    assert await later.switch(at(1), {ALL_TIME: heads(1)}) is Switched.DONE


@pytest.mark.parametrize("lost", ["ranks", "totals", "progress"])
async def test_generation_that_lost_a_key_is_not_adopted(
    projection: Projection, redis: "Redis", redis_prefix: str, lost: str
) -> None:
    await load(projection.make_generation("main", None), ("ada", 5, 1))
    (key,) = [key for key in await keys_of(redis, redis_prefix) if key.endswith(f":{lost}")]
    await redis.delete(key)

    assert await projection.adopt_generation("main", None) is None


async def test_there_is_nothing_to_adopt_before_a_step_and_after_the_switch(projection: Projection) -> None:
    generation = projection.make_generation("main", None)
    assert await projection.adopt_generation("main", None) is None

    await load(generation, ("ada", 5, 1))
    await generation.switch(at(1), {ALL_TIME: heads(1)})

    assert await projection.adopt_generation("main", await header_of(projection)) is None


async def test_maker_that_rests_is_not_taken_to_be_at_it(
    projection: Projection, redis: "Redis", redis_prefix: str
) -> None:
    await load(projection.make_generation("main", None), ("ada", 5, 1))
    await redis.expire(Keys(redis_prefix).making("main"), 120 - 3)

    assert not await projection.is_being_made("main")
    adopted = await projection.adopt_generation("main", None)
    assert adopted
    assert {await redis.ttl(key) for key in await keys_of(redis, redis_prefix)} <= {116, 117, 119, 120}
    assert await load(adopted, ("bob", 6, 2))
    assert await projection.is_being_made("main")


async def test_sign_of_life_keeps_a_generation_without_a_step(
    projection: Projection, redis: "Redis", redis_prefix: str
) -> None:
    generation = projection.make_generation("main", None)
    await load(generation, ("ada", 5, 1))
    for key in await keys_of(redis, redis_prefix):
        await redis.expire(key, 10)
    assert not await projection.is_being_made("main")

    await generation.keep()

    assert await projection.is_being_made("main")
    for key in await keys_of(redis, redis_prefix):
        assert 100 < await redis.ttl(key) <= 120


async def test_sign_of_life_that_comes_too_late_changes_nothing(
    projection: Projection, redis: "Redis", redis_prefix: str
) -> None:
    former = projection.make_generation("main", None)
    await former.keep()
    assert await keys_of(redis, redis_prefix) == set()
    await load(former, ("ada", 5, 1))
    adopted = await projection.adopt_generation("main", None)
    assert adopted
    await redis.expire(Keys(redis_prefix).making("main"), 10)

    await former.keep()
    assert await redis.ttl(Keys(redis_prefix).making("main")) <= 10

    await adopted.switch(at(1), {ALL_TIME: heads(1)})
    await adopted.keep()
    assert {await redis.ttl(key) for key in await keys_of(redis, redis_prefix)} == {-1}
