"""The ranks of periods on a real Valkey: they move with those of all time, and go when they are final."""

import asyncio
from collections.abc import Mapping
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from tests.fixtures.ledgers.headcounts import heads

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.changes import Change, Changes, write_lines
from score_service.domain.ledger.position import Position
from score_service.domain.standings.checkpoint import Checkpoint
from score_service.domain.standings.hint import Hint
from score_service.domain.standings.standing import Reading, Standing
from score_service.projection.generation import Source, Switched
from score_service.projection.projection import Projection, ProjectionSettings
from score_service.projection.replies import Applied, Comparison, PositionMismatch

MONDAY, TUESDAY, WEEK = "day:2026-11-30", "day:2026-12-01", "week:2026-W49"
SEASON = "season:one"

Row: TypeAlias = tuple[str, int, int]


def at(revision: int) -> Position:
    return Position(revision, f"{revision:016x}") if revision else Position.start("main")


def step(
    before: int,
    after: int,
    *changes: Row,
    periods: Mapping[str, list[Row]] | None = None,
    finished: tuple[str, ...] = (),
) -> Changes:
    return Changes(
        "main",
        at(before),
        at(after),
        tuple(Change(*change) for change in changes),
        {period_id: write_lines(Change(*row) for row in rows) for period_id, rows in (periods or {}).items()},
        finished,
    )


async def read(projection: Projection, period_id: str = ALL_TIME, *user_ids: str) -> Reading:
    reading = await projection.get_standings("main", user_ids, 100, period_id)
    assert reading
    return reading


async def top_of(projection: Projection, period_id: str = ALL_TIME) -> list[tuple[str, int, int | None]]:
    return [(s.user_id, s.total, s.rank) for s in (await read(projection, period_id)).top]


async def keys_of(redis: "Redis", prefix: str) -> dict[str, int]:
    """Find the keys of the board by what follows the generation, and for how long they live, -1 for ever."""
    keys = [key async for key in redis.scan_iter(f"{prefix}*")]
    return {":".join(key.removeprefix(prefix).split(":")[-3:]): await redis.ttl(key) for key in keys}


async def begin(projection: Projection) -> None:
    """Make a board at revision 3 with a week and a day, in which ada and bob have points."""
    await projection.apply_changes(
        step(0, 2, ("ada", 5, 1), ("bob", 9, 2), periods={WEEK: [("ada", 5, 1), ("bob", 9, 2)]})
    )
    await projection.apply_changes(
        step(2, 3, ("ada", 8, 3), periods={WEEK: [("ada", 8, 3)], MONDAY: [("ada", 3, 3)]})
    )


async def test_period_begins_with_its_first_points_and_counts_alone(projection: Projection) -> None:
    await begin(projection)

    assert await top_of(projection) == [("bob", 9, 1), ("ada", 8, 2)]
    assert await top_of(projection, WEEK) == [("bob", 9, 1), ("ada", 8, 2)]
    assert await top_of(projection, MONDAY) == [("ada", 3, 1)]
    header = await projection.read_header("main")
    assert header
    assert (header.position, header.all_time, header.periods) == (
        at(3),
        heads(2),
        {WEEK: heads(2), MONDAY: heads(1)},
    )
    assert header.standings == 5


async def test_reading_of_a_period_tells_its_entrants_at_the_same_position(projection: Projection) -> None:
    await begin(projection)

    monday = await read(projection, MONDAY, "bob", "ada")

    assert (monday.entrants, monday.position) == (1, at(3))
    assert monday.users == (Standing("ada", 3, 1, 3),)
    assert (await read(projection)).entrants is None
    page = await projection.list_standings("main", 1, "", WEEK)
    assert page
    assert (page.entrants, [s.user_id for s in page.top]) == (2, ["bob"])
    rest = await projection.list_standings("main", 1, page.next_page_token, WEEK)
    assert rest
    assert [(s.user_id, s.rank) for s in rest.top] == [("ada", 2)]
    around = await projection.list_standings_around("main", "ada", 1, WEEK)
    assert around
    assert (around.entrants, [s.user_id for s in around.top]) == (2, ["bob", "ada"])


async def test_period_that_nobody_has_points_in_has_no_entrants(projection: Projection) -> None:
    await begin(projection)

    tuesday = await read(projection, TUESDAY, "ada")

    assert (tuesday.entrants, tuesday.top, tuesday.users, tuesday.position) == (0, (), (), at(3))
    page = await projection.list_standings("main", 5, "", TUESDAY)
    around = await projection.list_standings_around("main", "ada", 2, TUESDAY)
    assert page
    assert around
    assert (page.entrants, page.top, page.next_page_token) == (0, (), "")
    assert (around.entrants, around.top) == (0, ())


async def test_ranks_that_are_answered_are_those_of_all_time(projection: Projection) -> None:
    await begin(projection)

    applied = await projection.apply_changes(
        step(3, 4, ("ada", 9, 4), periods={WEEK: [("ada", 20, 4)], MONDAY: [("ada", 4, 4)]})
    )

    assert applied == Applied({"ada": 2})


async def test_changes_that_were_applied_do_not_move_a_period_again(projection: Projection) -> None:
    await begin(projection)

    again = await projection.apply_changes(step(2, 3, ("ada", 9, 3), periods={MONDAY: [("ada", 9, 3)]}))

    assert isinstance(again, PositionMismatch)
    assert await top_of(projection, MONDAY) == [("ada", 3, 1)]


async def test_final_period_leaves_nothing_behind(
    projection: Projection, redis: "Redis", redis_prefix: str
) -> None:
    await begin(projection)

    await projection.apply_changes(step(3, 4, finished=(MONDAY,)))

    assert (await read(projection, MONDAY)).entrants == 0
    assert await top_of(projection, WEEK) == [("bob", 9, 1), ("ada", 8, 2)]
    header = await projection.read_header("main")
    assert header
    assert (header.position, header.periods) == (at(4), {WEEK: heads(2)})
    assert not any(MONDAY in key for key in await keys_of(redis, redis_prefix))


async def test_one_commit_may_end_a_period_and_begin_the_next(projection: Projection) -> None:
    await begin(projection)

    await projection.apply_changes(
        step(3, 5, ("bob", 10, 5), periods={TUESDAY: [("bob", 1, 5)]}, finished=(MONDAY, WEEK))
    )

    header = await projection.read_header("main")
    assert header
    assert header.periods == {TUESDAY: heads(1)}
    assert await top_of(projection) == [("bob", 10, 1), ("ada", 8, 2)]


async def test_period_that_came_and_went_unseen_is_passed_over(projection: Projection) -> None:
    await begin(projection)

    assert isinstance(await projection.apply_changes(step(3, 9, finished=(TUESDAY,))), Applied)

    header = await projection.read_header("main")
    assert header
    assert header.periods == {WEEK: heads(2), MONDAY: heads(1)}


async def test_commit_of_entries_alone_moves_the_position(projection: Projection) -> None:
    assert await projection.apply_changes(step(0, 1)) == Applied({})
    assert await top_of(projection) == []
    await projection.apply_changes(step(1, 2, ("ada", 5, 2), periods={WEEK: [("ada", 5, 2)]}))

    async with projection.subscribe("main") as hints:
        await projection.apply_changes(step(2, 3))
        await projection.apply_changes(step(3, 4, finished=(WEEK,)))

        assert await anext(hints) == Hint(at(2), at(3), ())
        assert await anext(hints) == Hint(at(3), at(4), (), finished=(WEEK,))


async def test_hint_has_the_ranks_of_each_period(projection: Projection) -> None:
    await begin(projection)

    async with projection.subscribe("main") as hints:
        await projection.apply_changes(
            step(
                3,
                5,
                ("ada", 12, 5),
                ("cyd", 1, 4),
                periods={WEEK: [("ada", 12, 5), ("cyd", 1, 4)], TUESDAY: [("ada", 4, 5)]},
                finished=(MONDAY,),
            )
        )
        hint = await anext(hints)

    assert hint == Hint(
        at(3),
        at(5),
        (Standing("ada", 12, 1, 5), Standing("cyd", 1, 3, 4)),
        {WEEK: (Standing("ada", 12, 1, 5), Standing("cyd", 1, 3, 4)), TUESDAY: (Standing("ada", 4, 1, 5),)},
        (MONDAY,),
    )


@pytest.mark.parametrize("lost", ["ranks", "totals"])
async def test_period_whose_key_was_lost_is_not_read_and_the_rest_is(
    projection: Projection, redis: "Redis", redis_prefix: str, lost: str
) -> None:
    await begin(projection)
    (key,) = [key async for key in redis.scan_iter(f"{redis_prefix}*{MONDAY}:{lost}")]
    await redis.delete(key)

    assert await projection.get_standings("main", (), 10, MONDAY) is None
    assert await top_of(projection, WEEK) == [("bob", 9, 1), ("ada", 8, 2)]
    outcome = await projection.apply_changes(step(3, 4, ("ada", 9, 4), periods={MONDAY: [("ada", 4, 4)]}))
    assert isinstance(outcome, PositionMismatch)
    header = await projection.read_header("main")
    assert header
    assert not header.is_whole

    await projection.drop_board("main", header)
    assert await keys_of(redis, redis_prefix) == {}


async def test_periods_that_another_process_began_are_found(
    projection: Projection, projection_settings: ProjectionSettings, redis: "Redis", redis_prefix: str
) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))
    async with Projection.open(projection_settings) as other:
        await other.apply_changes(step(1, 2, ("ada", 6, 2), periods={MONDAY: [("ada", 1, 2)]}))

    header = await projection.read_header("main")

    assert header
    assert header.periods == {MONDAY: heads(1)}
    await redis.delete(*[key async for key in redis.scan_iter(f"{redis_prefix}*{MONDAY}:*")])
    broken = await projection.read_header("main")
    assert broken
    assert not broken.is_whole


async def test_header_of_the_version_before_is_one_without_periods(
    projection: Projection, projection_settings: ProjectionSettings, redis: "Redis", redis_prefix: str
) -> None:
    await projection.apply_changes(step(0, 1, ("ada", 5, 1)))
    fields = await redis.hgetall(f"{redis_prefix}{{main}}:header")
    assert fields.keys() == {"generation", "revision", "mark", "members"}

    async with Projection.open(projection_settings) as other:
        header = await other.read_header("main")
        assert header
        assert header.periods == {}
        assert isinstance(
            await other.apply_changes(step(1, 2, ("ada", 6, 2), periods={MONDAY: [("ada", 1, 2)]})), Applied
        )


async def test_questions_about_several_periods_share_a_trip(
    projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(projection)
    trips = list[str]()
    run = projection._cache.run

    async def counted(script: str, call: object) -> object:
        trips.append(script)
        return await run(script, call)  # type: ignore[arg-type]

    monkeypatch.setattr(projection._cache, "run", counted)

    readings = await asyncio.gather(
        *(
            projection.get_standings("main", ["ada"], 5, period)
            for period in (MONDAY, ALL_TIME, WEEK, TUESDAY)
        )
    )

    assert trips == ["read_board"]
    totals = [[s.total for s in reading.users] for reading in readings if reading]
    assert totals == [[3], [8], [8], []]
    assert [reading.entrants for reading in readings if reading] == [1, None, 2, 0]


@pytest.mark.parametrize(
    ("period_id", "revision", "lines", "expected"),
    [
        (MONDAY, 3, "ada 3 3", Comparison(at(3), heads(1), 0, ())),
        (MONDAY, 3, "ada 8 3", Comparison(at(3), heads(1), 0, ("ada",))),
        (MONDAY, 4, "ada 9 4", Comparison(at(3), heads(1), 1, ())),
        (WEEK, 3, "ada 8 3\nbob 9 2", Comparison(at(3), heads(2), 0, ())),
        (TUESDAY, 3, "ada 1 2", Comparison(at(3), heads(0), 0, ("ada",))),
        (TUESDAY, 4, "ada 1 4", Comparison(at(3), heads(0), 1, ())),
    ],
)
async def test_standings_of_a_period_are_compared(
    projection: Projection, period_id: str, revision: int, lines: str, expected: Comparison
) -> None:
    await begin(projection)

    assert await projection.compare_standings("main", revision, lines, period_id) == expected


async def test_switch_brings_the_periods_of_the_generation_and_removes_those_before(
    projection: Projection, redis: "Redis", redis_prefix: str
) -> None:
    await begin(projection)
    generation = projection.make_generation("main", await projection.read_header("main"))
    checkpoint = Checkpoint.begin(at(3))
    assert await generation.load({ALL_TIME: "ada 8 3\nbob 9 2"}, checkpoint, source=Source.NEW_PAGE)
    assert await generation.load({WEEK: "ada 8 3\nbob 9 2"}, checkpoint, source=Source.NEW_PAGE)
    assert await generation.load(
        {ALL_TIME: "bob 10 4", WEEK: "bob 10 4", TUESDAY: "bob 1 4"}, checkpoint, finished=[MONDAY]
    )
    await projection.apply_changes(step(3, 4, ("bob", 10, 4), periods={SEASON: [("bob", 1, 4)]}))

    counts = {ALL_TIME: heads(2), WEEK: heads(2), TUESDAY: heads(1)}
    assert await generation.switch(at(5), counts, [WEEK, MONDAY]) is Switched.BEHIND
    assert (
        await generation.switch(at(5), {**counts, TUESDAY: heads(2)}, [WEEK, MONDAY, SEASON]) is Switched.LOST
    )
    assert await generation.switch(at(5), counts, [WEEK, MONDAY, SEASON]) is Switched.DONE

    header = await projection.read_header("main")
    assert header
    assert (header.generation, header.periods) == (generation.name, {WEEK: heads(2), TUESDAY: heads(1)})
    assert await top_of(projection, TUESDAY) == [("bob", 1, 1)]
    keys = await keys_of(redis, redis_prefix)
    assert len(keys) == len([key async for key in redis.scan_iter(f"{redis_prefix}*")]) == 7
    assert {*keys.values()} == {-1}


async def test_what_was_loaded_of_a_period_goes_when_it_is_final(
    projection: Projection, redis: "Redis", redis_prefix: str
) -> None:
    generation, checkpoint = projection.make_generation("main", None), Checkpoint.begin(at(3))
    await generation.load({ALL_TIME: "ada 8 3", MONDAY: "ada 3 3", WEEK: "ada 8 3"}, checkpoint)

    assert await generation.load({}, checkpoint, finished=[MONDAY])

    assert not any(MONDAY in key for key in await keys_of(redis, redis_prefix))
    assert await generation.switch(at(4), {ALL_TIME: heads(1), WEEK: heads(1)}) is Switched.DONE


async def test_adopted_generation_has_its_periods(
    projection: Projection, redis: "Redis", redis_prefix: str
) -> None:
    former = projection.make_generation("main", None)
    await former.load({ALL_TIME: "ada 8 3"}, Checkpoint.begin(at(3)))
    week = Checkpoint.begin(at(3)).enter(WEEK)
    await former.load({WEEK: "ada 8 3"}, week)

    adopted = await projection.adopt_generation("main", None)

    assert adopted
    assert adopted.checkpoint == week
    assert not await former.load({WEEK: "ada 9 9"}, week)
    assert await adopted.load({WEEK: "bob 9 2", ALL_TIME: "bob 9 2"}, week)
    assert await adopted.switch(at(3), {ALL_TIME: heads(2), WEEK: heads(2)}) is Switched.DONE
    assert await top_of(projection, WEEK) == [("bob", 9, 1), ("ada", 8, 2)]
    assert {*(await keys_of(redis, redis_prefix)).values()} == {-1}


async def test_generation_that_gets_a_period_while_it_is_adopted_is_left_to_its_maker(
    projection: Projection,
) -> None:
    former, later = (projection.make_generation("main", None) for _ in range(2))
    checkpoint = Checkpoint.begin(at(3))
    await former.load({ALL_TIME: "ada 8 3"}, checkpoint)
    run = projection._bulk.run

    async def run_late(script: str, call: object) -> object:
        reply = await run(script, call)  # type: ignore[arg-type]
        if script == "get_progress":
            later._cache.run = run  # type: ignore[method-assign]
            await former.load({WEEK: "ada 8 3"}, checkpoint)
        return reply

    later._cache.run = run_late  # type: ignore[method-assign]

    assert not await later.adopt(former.name)
    assert await former.switch(at(3), {ALL_TIME: heads(1), WEEK: heads(1)}) is Switched.DONE


@pytest.mark.parametrize("lost", ["ranks", "totals"])
async def test_generation_that_lost_a_key_of_a_period_is_not_adopted(
    projection: Projection, redis: "Redis", redis_prefix: str, lost: str
) -> None:
    generation = projection.make_generation("main", None)
    await generation.load({ALL_TIME: "ada 8 3", WEEK: "ada 8 3"}, Checkpoint.begin(at(3)))
    await redis.delete(*[key async for key in redis.scan_iter(f"{redis_prefix}*{WEEK}:{lost}")])

    assert await projection.adopt_generation("main", None) is None
    assert await generation.switch(at(3), {ALL_TIME: heads(1), WEEK: heads(1)}) is Switched.LOST


async def test_keys_of_periods_whose_header_was_lost_are_removed_by_the_switch(
    projection: Projection, redis: "Redis", redis_prefix: str
) -> None:
    await begin(projection)
    await redis.delete(f"{redis_prefix}{{main}}:header")
    assert await projection.read_header("main") is None
    generation = projection.make_generation("main", None)
    await generation.load({ALL_TIME: "ada 8 3\nbob 9 2"}, Checkpoint.begin(at(3)))

    assert await generation.switch(at(3), {ALL_TIME: heads(2)}) is Switched.DONE

    assert len([key async for key in redis.scan_iter(f"{redis_prefix}*")]) == 3


async def test_discarded_generation_leaves_nothing_of_its_periods(
    projection: Projection, redis: "Redis", redis_prefix: str
) -> None:
    generation = projection.make_generation("main", None)
    await generation.load({ALL_TIME: "ada 8 3", WEEK: "ada 8 3"}, Checkpoint.begin(at(3)))
    for key in await keys_of(redis, redis_prefix):
        await redis.expire(key, 10)

    await generation.keep()
    assert all(100 < lives <= 120 for lives in (await keys_of(redis, redis_prefix)).values())
    await generation.discard()

    assert await keys_of(redis, redis_prefix) == {}


Batch: TypeAlias = tuple[list[tuple[str, int, tuple[str, ...]]], tuple[str, ...]]
"""Awards, each with the periods that it counts in, and the periods that are final then."""

PERIODS = st.lists(st.sampled_from([MONDAY, TUESDAY, WEEK]), unique=True, max_size=3).map(tuple)
BATCHES: st.SearchStrategy[list[Batch]] = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from("abcdefg"), st.integers(1, 3), PERIODS), max_size=6), PERIODS
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BATCHES)
async def test_periods_equal_a_plain_model(projection: Projection, batches: list[Batch]) -> None:
    header = await projection.read_header("main")
    if header is not None:
        await projection.drop_board("main", header)
    revision, model, final = 0, dict[str, dict[str, tuple[int, int]]](), set[str]()
    for awards, ended in batches:
        before, changed = revision, dict[str, set[str]]()
        for user_id, points, periods in awards:
            revision += 1
            for place in (ALL_TIME, *(period for period in periods if period not in final)):
                standings = model.setdefault(place, {})
                standings[user_id] = (standings.get(user_id, (0, 0))[0] + points, revision)
                changed.setdefault(place, set()).add(user_id)
        finished = tuple(period for period in ended if period not in final)
        final.update(finished)
        revision += len(finished)
        if revision == before:
            continue
        for period in finished:
            model.pop(period, None)
        rows = {
            place: [(user_id, *model[place][user_id]) for user_id in users]
            for place, users in changed.items()
            if place not in finished
        }
        changes = rows.pop(ALL_TIME, [])
        outcome = await projection.apply_changes(
            step(before, revision, *changes, periods=rows, finished=finished)
        )
        assert isinstance(outcome, Applied)

    for place in (ALL_TIME, MONDAY, TUESDAY, WEEK) if revision else ():
        expected = sorted(model.get(place, {}).items(), key=lambda item: (-item[1][0], item[1][1]))
        assert await top_of(projection, place) == [
            (user_id, total, rank) for rank, (user_id, (total, _)) in enumerate(expected, start=1)
        ]
    header = await projection.read_header("main")
    assert (dict(header.periods) if header else {}) == {
        period: heads(len(standings)) for period, standings in model.items() if period != ALL_TIME
    }
