"""The ranks on a real Valkey: each script alone, against a plain model."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from structlog.testing import capture_logs
from tests.fixtures.ledgers.headcounts import heads
from tests.fixtures.servers.redis import access_to_nobody

from score_service.domain.ledger.award import MAX_TOTAL
from score_service.domain.ledger.changes import Change, Changes
from score_service.domain.ledger.position import Position
from score_service.domain.standings.hint import Hint
from score_service.domain.standings.standing import Standing
from score_service.errors import InvalidRequestError, ProjectionUnavailableError
from score_service.projection.keys import Keys
from score_service.projection.projection import Projection, ProjectionSettings
from score_service.projection.replies import Applied, Comparison, Header, PositionMismatch


def at(revision: int) -> Position:
    return Position(revision, f"{revision:016x}") if revision else Position.start("main")


def step(before: int, after: int, *changes: tuple[str, int, int]) -> Changes:
    return Changes("main", at(before), at(after), tuple(Change(*change) for change in changes))


async def top_of(projection: Projection, size: int = 100) -> list[tuple[str, int, int | None]]:
    reading = await projection.get_standings("main", (), size)
    return [(s.user_id, s.total, s.rank) for s in reading.top] if reading else []


async def test_board_begins_with_its_first_changes(projection: Projection) -> None:
    assert await projection.read_header("main") is None
    assert await projection.get_standings("main", ["ada"], 10) is None

    applied = await projection.apply_changes(step(0, 2, ("ada", 5, 1), ("bob", 9, 2)))

    assert applied == Applied({"ada": 2, "bob": 1})
    header = await projection.read_header("main")
    assert header is not None
    assert header.position == at(2)
    assert await top_of(projection) == [("bob", 9, 1), ("ada", 5, 2)]


async def test_same_changes_twice_are_applied_once(projection: Projection) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))

    again = await projection.apply_changes(step(0, 1, ("ada", 5, 1)))

    assert isinstance(again, PositionMismatch)
    assert again.header is not None
    assert again.header.position == at(1)
    assert await top_of(projection) == [("ada", 5, 1)]


async def test_gap_is_not_jumped(projection: Projection) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))

    outcome = await projection.apply_changes(step(2, 3, ("ada", 9, 3)))

    assert isinstance(outcome, PositionMismatch)
    assert await top_of(projection) == [("ada", 5, 1)]


async def test_changes_of_another_history_are_not_applied(projection: Projection) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))
    foreign = replace(step(1, 2, ("ada", 9, 2)), before=Position(1, "f" * 16))

    assert isinstance(await projection.apply_changes(foreign), PositionMismatch)
    assert await top_of(projection) == [("ada", 5, 1)]


async def test_lost_projection_is_not_begun_in_the_middle(projection: Projection) -> None:
    assert await projection.apply_changes(step(1, 2, ("ada", 9, 2))) == PositionMismatch(None)
    assert await projection.read_header("main") is None


async def test_of_equal_totals_the_one_reached_earlier_ranks_higher(projection: Projection) -> None:
    await projection.apply_changes(step(0, 3, ("zoe", 5, 1), ("ada", 5, 2), ("bob", 4, 3)))
    await projection.apply_changes(step(3, 4, ("bob", 5, 4)))
    await projection.apply_changes(step(4, 12, ("cyd", 5, 12)))

    assert await top_of(projection) == [("zoe", 5, 1), ("ada", 5, 2), ("bob", 5, 3), ("cyd", 5, 4)]


async def test_totals_up_to_the_greatest_are_exact(projection: Projection) -> None:
    await projection.apply_changes(
        step(0, 3, ("ada", MAX_TOTAL, 1), ("bob", MAX_TOTAL - 1, 2), ("cyd", 10**15 + 1, 3))
    )

    assert await top_of(projection) == [
        ("ada", MAX_TOTAL, 1),
        ("bob", MAX_TOTAL - 1, 2),
        ("cyd", 10**15 + 1, 3),
    ]
    reading = await projection.get_standings("main", ["bob"])
    assert reading is not None
    assert reading.users == (Standing("bob", MAX_TOTAL - 1, 2, 2),)


async def test_named_users_are_read_in_the_order_asked_without_the_unknown(projection: Projection) -> None:
    await projection.apply_changes(step(0, 3, ("ada", 5, 1), ("bob", 9, 2), ("cyd", 7, 3)))

    reading = await projection.get_standings("main", ["cyd", "nobody", "bob"], 1)

    assert reading is not None
    assert reading.users == (Standing("cyd", 7, 2, 3), Standing("bob", 9, 1, 2))
    assert reading.top == (Standing("bob", 9, 1, 2),)


async def test_pages_follow_each_other_to_the_end(projection: Projection) -> None:
    users = [(f"user{i}", 100 - i // 3, i + 1) for i in range(25)]
    await projection.apply_changes(step(0, 25, *users))

    seen: list[Standing] = []
    token = ""
    while True:
        page = await projection.list_standings("main", 10, token)
        assert page is not None
        seen += page.top
        token = page.next_page_token
        if not token:
            break

    assert [s.user_id for s in seen] == [user for user, _, _ in users]
    assert [s.rank for s in seen] == list(range(1, 26))


async def test_page_that_ends_with_the_board_has_no_next(projection: Projection) -> None:
    await projection.apply_changes(step(0, 2, ("ada", 2, 1), ("bob", 1, 2)))

    page = await projection.list_standings("main", 2, "")

    assert page is not None
    assert page.next_page_token == ""


async def test_nobody_is_left_out_when_the_last_of_a_page_moves_up(projection: Projection) -> None:
    await projection.apply_changes(step(0, 4, ("ada", 9, 1), ("bob", 5, 2), ("cyd", 5, 3), ("dan", 1, 4)))
    first = await projection.list_standings("main", 2, "")
    assert first is not None
    await projection.apply_changes(step(4, 5, ("bob", 20, 5)))

    second = await projection.list_standings("main", 10, first.next_page_token)

    assert second is not None
    assert [s.user_id for s in second.top] == ["cyd", "dan"]
    assert [s.rank for s in second.top] == [3, 4]


@pytest.mark.parametrize(
    ("read_at", "line", "unready", "differing"),
    [
        (7, "ada 12 7", 0, ()),  # The same.
        (5, "ada 5 1", 0, ()),  # The board was moved on after the reading.
        (9, "ada 13 9", 1, ()),  # The board has not come so far.
        (7, "ada 12 6", 0, ("ada",)),
        (7, "ada 11 7", 0, ("ada",)),
        (7, "ada 5 1", 0, ("ada",)),  # It should have been at 12 when it was read.
        (7, "dan 5 3", 0, ("dan",)),
        (9, "dan 5 9", 1, ()),
    ],
)
async def test_standings_of_the_record_are_compared_at_whatever_position_they_were_read(
    projection: Projection, read_at: int, line: str, unready: int, differing: tuple[str, ...]
) -> None:
    await projection.apply_changes(step(0, 2, ("ada", 5, 1), ("bob", 4, 2)))
    await projection.apply_changes(step(2, 7, ("ada", 12, 7)))

    comparison = await projection.compare_standings("main", read_at, f"bob 4 2\n{line}")

    assert comparison == Comparison(at(7), heads(2), unready=unready, differing=differing)


async def test_board_without_projection_is_not_compared(projection: Projection) -> None:
    assert await projection.compare_standings("main", 1, "ada 5 1") is None


@pytest.mark.parametrize("token", ["x", "====", "ä", "MTAg"])
async def test_page_token_that_was_not_given_is_rejected(projection: Projection, token: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await projection.list_standings("main", 10, token)

    assert list(caught.value.fields) == ["page_token"]


async def test_neighbours_end_where_the_board_ends(projection: Projection) -> None:
    await projection.apply_changes(step(0, 5, *((f"user{i}", 10 - i, i + 1) for i in range(5))))

    async def around(user_id: str, radius: int) -> list[tuple[str, int | None]]:
        reading = await projection.list_standings_around("main", user_id, radius)
        assert reading is not None
        return [(s.user_id, s.rank) for s in reading.top]

    assert await around("user2", 1) == [("user1", 2), ("user2", 3), ("user3", 4)]
    assert await around("user0", 2) == [("user0", 1), ("user1", 2), ("user2", 3)]
    assert await around("user4", 0) == [("user4", 5)]
    assert await around("nobody", 2) == []


async def test_generation_of_a_board_made_anew_is_found_again(
    projection: Projection, projection_settings: ProjectionSettings
) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))
    async with Projection.open(projection_settings) as other:
        header = await other.read_header("main")
        assert header is not None
        await other.drop_board("main", header)
        await other.apply_changes(step(0, 1, ("bob", 6, 1)))

    assert await top_of(projection) == [("bob", 6, 1)]
    assert isinstance(await projection.apply_changes(step(1, 2, ("bob", 7, 2))), Applied)


async def test_projection_is_dropped_only_as_it_was_seen(projection: Projection) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))
    seen = await projection.read_header("main")
    assert seen is not None
    await projection.apply_changes(step(1, 2, ("ada", 6, 2)))

    await projection.drop_board("main", seen)

    assert await top_of(projection) == [("ada", 6, 1)]


async def test_drop_leaves_nothing_behind(projection: Projection, redis_url: str, redis_prefix: str) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))
    header = await projection.read_header("main")
    assert header is not None

    await projection.drop_board("main", header)

    async with Redis.from_url(redis_url) as client:
        assert [key async for key in client.scan_iter(f"{redis_prefix}*")] == []


async def test_hint_carries_what_was_applied(projection: Projection) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))

    async with projection.subscribe("main") as hints:
        await projection.apply_changes(step(1, 3, ("ada", 9, 3), ("bob", 7, 2)))
        hint = await anext(hints)

    assert hint == Hint(at(1), at(3), (Standing("ada", 9, 1, 3), Standing("bob", 7, 2, 2)))


async def test_message_that_is_no_hint_is_logged_and_skipped(
    projection: Projection, redis: Redis, redis_prefix: str
) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))

    with capture_logs() as logs:
        async with projection.subscribe("main") as hints:
            await redis.spublish(Keys(redis_prefix).channel("main"), "hello")
            await projection.apply_changes(step(1, 2, ("bob", 7, 2)))
            hint = await anext(hints)

    assert hint.after == at(2)
    assert [line["event"] for line in logs] == ["hint_malformed"]


async def test_header_of_each_board_is_read(projection: Projection) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))

    headers = await projection.read_headers(["other", "main"])

    assert headers.keys() == {"other", "main"}
    assert headers["other"] is None
    assert isinstance(headers["main"], Header)
    assert await projection.read_headers([]) == {}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abcdefg"), st.integers(1, 3)), min_size=1, max_size=6), max_size=8
    )
)
async def test_ranks_equal_a_plain_model(
    projection: Projection, batches: list[list[tuple[str, int]]]
) -> None:
    header = await projection.read_header("main")
    if header is not None:
        await projection.drop_board("main", header)
    revision, model = 0, dict[str, tuple[int, int]]()
    for batch in batches:
        before, changed = revision, set()
        for user_id, points in batch:
            revision += 1
            model[user_id] = (model.get(user_id, (0, 0))[0] + points, revision)
            changed.add(user_id)
        changes = [(user_id, *model[user_id]) for user_id in changed]
        assert isinstance(await projection.apply_changes(step(before, revision, *changes)), Applied)

    expected = sorted(model.items(), key=lambda item: (-item[1][0], item[1][1]))
    assert await top_of(projection) == [(u, total, i + 1) for i, (u, (total, _)) in enumerate(expected)]


async def test_redis_that_may_evict_keys_is_reported_as_such(projection: Projection, redis_url: str) -> None:
    assert await projection.check() is None
    async with Redis.from_url(redis_url) as redis:
        await redis.config_set("maxmemory-policy", "volatile-lru")
        try:
            assert await projection.check() == "evicts keys: maxmemory-policy is volatile-lru, not noeviction"
        finally:
            await redis.config_set("maxmemory-policy", "noeviction")


async def test_redis_that_is_unavailable_is_reported_as_such(free_port: Callable[[], int]) -> None:
    settings = ProjectionSettings(access_to_nobody(free_port()))

    async with Projection.open(settings) as projection:
        with pytest.raises(ProjectionUnavailableError):
            await projection.check()
        with pytest.raises(ProjectionUnavailableError):
            await projection.apply_changes(step(0, 1, ("ada", 5, 1)))
        with pytest.raises(ProjectionUnavailableError):
            async with projection.subscribe("main"):
                pass


async def test_cancelled_reads_leave_no_answer_for_the_next(projection: Projection) -> None:
    await projection.apply_changes(step(0, 2, ("ada", 5, 1), ("bob", 9, 2)))

    for _ in range(50):
        reads = [asyncio.create_task(projection.get_standings("main", ["ada"])) for _ in range(4)]
        await asyncio.sleep(0)
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
        assert await projection.get_standings("main", ["bob"], 1) == await projection.get_standings(
            "main", ["bob"], 1
        )
        reading = await projection.get_standings("main", ["bob"])
        assert reading is not None
        assert [s.user_id for s in reading.users] == ["bob"]
