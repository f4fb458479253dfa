"""Who is hidden or has no points left, on a real Valkey: in no list, rank or count, and back when shown."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fixtures.ledgers.headcounts import heads

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.changes import Change, Changes, write_lines
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.visibility import Visibility
from score_service.domain.standings.checkpoint import Checkpoint
from score_service.domain.standings.hint import Hint
from score_service.domain.standings.standing import Standing
from score_service.projection.generation import Source, Switched
from score_service.projection.projection import Projection
from score_service.projection.replies import Applied, Headcount

WEEK, DAY = "week:2026-W49", "day:2026-11-30"
PLACES: Final = (ALL_TIME, WEEK, DAY)
ROWS: Final = (("ada", 30), ("eve", 20), ("bob", 20), ("cyd", 20), ("dan", 5))
HIDINGS: Final = (Visibility.HIDDEN, Visibility.SHADOWED)


def at(revision: int) -> Position:
    return Position(revision, f"{revision:016x}") if revision else Position.start("main")


@dataclass
class Model:
    """A ledger in memory, by the rules alone: awards, reversals and visibilities, one a revision."""

    awards: dict[int, tuple[str, int, tuple[str, ...]]] = field(default_factory=dict)
    """Those that stand: user, points, and what they count in, by their revisions."""
    users: dict[str, dict[str, int]] = field(default_factory=dict)
    """By place, of everybody who ever had points there, the revision that changed the standing."""
    visibilities: dict[str, Visibility] = field(default_factory=dict)
    revision: int = 0

    def award(self, user: str, points: int, periods: Sequence[str] = ()) -> "Step":
        self.revision += 1
        self.awards[self.revision] = (user, points, (ALL_TIME, *periods))
        for place in (ALL_TIME, *periods):
            self.users.setdefault(place, {})[user] = self.revision
        return Step(user, (ALL_TIME, *periods))

    def reverse(self, award: int) -> "Step":
        self.revision += 1
        user, _, places = self.awards.pop(award)
        for place in places:
            self.users[place][user] = self.revision
        return Step(user, places)

    def show(self, user: str, visibility: Visibility) -> "Step":
        self.revision += 1
        self.visibilities[user] = visibility
        places = tuple(place for place, users in self.users.items() if user in users)
        for place in places:
            self.users[place][user] = self.revision
        return Step(user, places, visibility)

    def visibility_of(self, user: str) -> Visibility:
        return self.visibilities.get(user, Visibility.VISIBLE)

    def standing(self, place: str, user: str) -> tuple[int, int]:
        """Return the total and the revision of the latest award that stands."""
        own = {r: p for r, (who, p, places) in self.awards.items() if who == user and place in places}
        return sum(own.values()), max(own, default=0)

    def change(self, place: str, user: str, visibility: Visibility | None = None) -> Change:
        total, reached = self.standing(place, user)
        version = self.users[place][user]
        return Change(user, total, reached, None if version == reached else version, visibility)

    def ranking(self, place: str) -> list[Standing]:
        """Return who is ranked, best first."""
        found = [(user, *self.standing(place, user)) for user in self.users.get(place, {})]
        shown = [row for row in found if row[1] and self.visibility_of(row[0]) is Visibility.VISIBLE]
        shown.sort(key=lambda row: (-row[1], row[2]))
        return [Standing(user, total, rank, reached) for rank, (user, total, reached) in enumerate(shown, 1)]

    def own(self, place: str, user: str) -> Standing | None:
        """Return what a user is answered who asks for itself."""
        total, reached = self.standing(place, user)
        better = [s for s in self.ranking(place) if (-s.total, s.reached_revision) < (-total, reached)]
        visibility = self.visibility_of(user)
        rank = None if visibility is Visibility.HIDDEN else 1 + len(better)
        return Standing(user, total, rank, reached, visibility is not Visibility.VISIBLE) if total else None

    def count(self, place: str) -> Headcount:
        return Headcount(len(self.users.get(place, {})), len(self.ranking(place)))

    def page(self, place: str) -> str:
        """Write what the record has, as it writes pages."""
        changes = [
            self.change(place, user, self.visibilities.get(user)) for user in self.users.get(place, {})
        ]
        return "\n".join(change.line for change in changes)


@dataclass(frozen=True)
class Step:
    """Whom an entry changed, and where."""

    user: str
    places: tuple[str, ...]
    visibility: Visibility | None = None


def changes_of(model: Model, before: int, steps: Sequence[Step]) -> Changes:
    """Make what the ledger says of some steps: the newest of each user."""
    seen = {step.user: step.visibility for step in steps if step.visibility}
    users: dict[str, dict[str, None]] = {}
    for step in steps:
        for place in step.places:
            users.setdefault(place, {})[step.user] = None
    made = {
        place: tuple(model.change(place, user, seen.get(user)) for user in users[place]) for place in users
    }
    all_time = made.pop(ALL_TIME, ())
    periods = {place: write_lines(changes) for place, changes in made.items()}
    return Changes("main", at(before), at(model.revision), all_time, periods)


Make: TypeAlias = Callable[[Model], Step]


async def apply(projection: Projection, model: Model, *makes: Make) -> Applied:
    before = model.revision
    steps = [make(model) for make in makes]
    applied = await projection.apply_changes(changes_of(model, before, steps))
    assert isinstance(applied, Applied)
    return applied


async def begin(projection: Projection) -> Model:
    """Make a board on which eve, of whom more is to come, is second of five everywhere."""
    model = Model()
    steps = [model.award(user, points, (WEEK, DAY)) for user, points in ROWS]
    assert isinstance(await projection.apply_changes(changes_of(model, 0, steps)), Applied)
    return model


# What is read, and how the users in it are found. A new read is added here.


async def _read_top(projection: Projection, place: str) -> Sequence[Any]:
    reading = await projection.get_standings("main", (), 100, place)
    assert reading
    return [reading.top, reading.entrants]


async def _read_others(projection: Projection, place: str) -> Sequence[Any]:
    reading = await projection.get_standings("main", ["ada", "bob", "cyd", "dan"], 0, place)
    assert reading
    return reading.users


async def _read_pages(projection: Projection, place: str) -> Sequence[Any]:
    pages, token = [], ""
    while True:
        page = await projection.list_standings("main", 2, token, place)
        assert page
        pages += [page.top, page.entrants]
        token = page.next_page_token
        if not token:
            return pages


async def _read_around(projection: Projection, place: str) -> Sequence[Any]:
    found = []
    for user in ("ada", "bob", "cyd", "dan"):
        reading = await projection.list_standings_around("main", user, 1, place)
        assert reading
        found += [reading.top, reading.entrants]
    return found


async def _read_header(projection: Projection, place: str) -> Sequence[Any]:
    header = await projection.read_header("main")
    headers = await projection.read_headers(["main"])
    assert header
    assert header.is_whole
    assert headers == {"main": header}
    return [(header.all_time if place == ALL_TIME else header.periods[place]).ranked]


async def _compare(projection: Projection, place: str) -> Sequence[Any]:
    comparison = await projection.compare_standings("main", 0, "", place)
    assert comparison
    return [comparison.count.ranked]


READS: Final[Mapping[Callable[[Projection, str], Awaitable[Sequence[Any]]], set[str]]] = {
    _read_top: {"get_standings"},
    _read_others: {"get_standings"},
    _read_pages: {"list_standings"},
    _read_around: {"list_standings_around"},
    _read_header: {"read_header", "read_headers"},
    _compare: {"compare_standings"},
}
NO_READS: Final = {
    "open",
    "check",
    "apply_changes",  # What it answers and publishes is tested below.
    "subscribe",
    "drop_board",
    "require_writes",
    "is_being_made",
    "make_generation",
    "adopt_generation",
}


def test_all_that_is_read_of_the_projection_is_listed_here() -> None:
    public = {name for name, _ in inspect.getmembers(Projection) if not name.startswith("_")}

    assert public == set().union(*READS.values()) | NO_READS


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("hiding", HIDINGS)
@pytest.mark.parametrize("read", READS, ids=lambda read: read.__name__)
async def test_hidden_user_is_in_no_read_of_others_and_back_when_shown(
    projection: Projection,
    read: Callable[[Projection, str], Awaitable[Sequence[Any]]],
    hiding: Visibility,
    place: str,
) -> None:
    model = await begin(projection)
    before = await read(projection, place)

    await apply(projection, model, lambda m: m.show("eve", hiding))
    hidden = await read(projection, place)
    await apply(projection, model, lambda m: m.show("eve", Visibility.VISIBLE))

    assert "eve" not in str(hidden)
    assert hidden != before
    assert await read(projection, place) == before
    # The others are as if there had never been anybody else.
    header = await projection.read_header("main")
    assert header
    await projection.drop_board("main", header)
    alone, steps = Model(), list[Step]()
    for user, points in ROWS:
        if user == "eve":
            alone.revision += 1
        else:
            steps.append(alone.award(user, points, (WEEK, DAY)))
    await projection.apply_changes(changes_of(alone, 0, steps))
    assert await read(projection, place) == hidden


@pytest.mark.parametrize("place", PLACES)
async def test_hidden_user_is_told_its_total_and_no_rank(projection: Projection, place: str) -> None:
    model = await begin(projection)

    applied = await apply(projection, model, lambda m: m.show("eve", Visibility.HIDDEN))

    assert applied.ranks == {}
    reading = await projection.get_standings("main", ["eve", "ada"], 0, place)
    assert reading
    assert reading.users == (Standing("eve", 20, None, 2, hidden=True), Standing("ada", 30, 1, 1))
    around = await projection.list_standings_around("main", "eve", 5, place)
    assert around
    assert around.top == ()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("radius", [0, 1, 2, 9])
async def test_shadowed_user_sees_itself_where_it_would_be(
    projection: Projection, place: str, radius: int
) -> None:
    model = await begin(projection)

    applied = await apply(projection, model, lambda m: m.show("bob", Visibility.SHADOWED))

    assert applied.ranks == {"bob": 3}
    reading = await projection.get_standings("main", ["bob", "cyd"], 0, place)
    assert reading
    assert reading.users == (Standing("bob", 20, 3, 3, hidden=True), Standing("cyd", 20, 3, 4))
    around = await projection.list_standings_around("main", "bob", radius, place)
    assert around
    ranking = model.ranking(place)
    assert around.top == (
        *ranking[max(0, 2 - radius) : 2],
        Standing("bob", 20, 3, 3, hidden=True),
        *ranking[2 : 2 + radius],
    )


async def test_hidden_user_goes_on_collecting_points_in_all_periods(projection: Projection) -> None:
    model = await begin(projection)
    await apply(projection, model, lambda m: m.show("eve", Visibility.HIDDEN))
    await apply(projection, model, lambda m: m.show("bob", Visibility.SHADOWED))

    async with projection.subscribe("main") as hints:
        applied = await apply(
            projection,
            model,
            lambda m: m.award("eve", 100, ("day:2026-12-01", WEEK)),
            lambda m: m.award("bob", 100, ("day:2026-12-01",)),
            lambda m: m.award("cyd", 5, (WEEK,)),
        )
        hint = await anext(hints)

    assert applied.ranks == {"bob": 1, "cyd": 2}
    assert hint.standings == (
        Standing("eve", 120, None, 8, hidden=True),
        Standing("bob", 120, 1, 9, hidden=True),
        Standing("cyd", 25, 2, 10),
    )
    assert hint.periods == {
        WEEK: (Standing("eve", 120, None, 8, hidden=True), Standing("cyd", 25, 2, 10)),
        "day:2026-12-01": (
            Standing("eve", 100, None, 8, hidden=True),
            Standing("bob", 100, 1, 9, hidden=True),
        ),
    }
    assert not hint.has_visibilities
    header = await projection.read_header("main")
    assert header
    assert header.periods == {
        WEEK: heads(5, hidden=2),
        DAY: heads(5, hidden=2),
        "day:2026-12-01": heads(2, hidden=2),
    }
    reading = await projection.get_standings("main", ["eve", "bob"], 9, "day:2026-12-01")
    assert reading
    assert (reading.top, reading.entrants) == ((), 0)
    assert [(s.user_id, s.total, s.rank) for s in reading.users] == [("eve", 100, None), ("bob", 100, 1)]


async def test_hint_tells_of_who_is_hidden_and_who_has_nothing_left(projection: Projection) -> None:
    model = await begin(projection)

    async with projection.subscribe("main") as hints:
        await apply(
            projection,
            model,
            lambda m: m.show("eve", Visibility.HIDDEN),
            lambda m: m.show("bob", Visibility.SHADOWED),
            lambda m: m.reverse(4),
        )
        hint = await anext(hints)

    standings = (
        Standing("eve", 20, None, 2, hidden=True),
        Standing("bob", 20, 2, 3, hidden=True),
        Standing("cyd", 0, None, 0),
    )
    periods = dict.fromkeys((WEEK, DAY), standings)
    assert hint == Hint(at(5), at(8), standings, periods, has_visibilities=True)


@pytest.mark.parametrize("place", PLACES)
async def test_user_of_whom_no_award_is_left_is_in_no_answer_until_the_next_award(
    projection: Projection, place: str
) -> None:
    model = await begin(projection)

    applied = await apply(projection, model, lambda m: m.reverse(2))

    assert applied.ranks == {}
    reading = await projection.get_standings("main", ["eve"], 9, place)
    around = await projection.list_standings_around("main", "eve", 1, place)
    assert reading
    assert around
    assert (reading.users, around.top) == ((), ())
    assert reading.top == tuple(model.ranking(place))
    header = await projection.read_header("main")
    assert header
    assert (header.is_whole, header.all_time) == (True, heads(5, hidden=1))

    await apply(projection, model, lambda m: m.award("eve", 20, (WEEK, DAY)))

    reading = await projection.get_standings("main", ["eve"], 0, place)
    assert reading
    assert reading.users == (Standing("eve", 20, 4, 7),)


async def test_reversal_gives_back_the_place_among_equals(projection: Projection) -> None:
    model = await begin(projection)
    await apply(projection, model, lambda m: m.award("eve", 1, (WEEK,)))

    await apply(projection, model, lambda m: m.reverse(6))

    reading = await projection.get_standings("main", (), 9)
    assert reading
    assert [s.user_id for s in reading.top] == ["ada", "eve", "bob", "cyd", "dan"]


async def test_page_goes_on_after_a_user_who_was_hidden_meanwhile(projection: Projection) -> None:
    model = await begin(projection)
    first = await projection.list_standings("main", 3, "")
    assert first
    await apply(projection, model, lambda m: m.show("bob", Visibility.HIDDEN))

    second = await projection.list_standings("main", 3, first.next_page_token)

    assert [s.user_id for s in first.top] == ["ada", "eve", "bob"]
    assert second
    assert [(s.user_id, s.rank) for s in second.top] == [("cyd", 3), ("dan", 4)]


@pytest.mark.parametrize(
    ("line", "differs"),
    [
        ("eve 20 2 6 h", False),
        ("eve 20 2 6 s", True),
        ("eve 20 2 6 v", True),
        ("eve 20 2 6", True),
        ("eve 20 2", True),
        ("ada 30 1", False),
        ("ada 30 1 1 v", False),
        ("ada 30 1 5 h", True),
        ("cyd 0 0 7", False),
        ("cyd 20 4", True),
    ],
)
async def test_flags_and_versions_are_compared(projection: Projection, line: str, *, differs: bool) -> None:
    model = await begin(projection)
    await apply(projection, model, lambda m: m.show("eve", Visibility.HIDDEN))
    await apply(projection, model, lambda m: m.reverse(4))

    for place in PLACES:
        comparison = await projection.compare_standings("main", 7, line, place)
        assert comparison
        assert comparison.differing == ((line.partition(" ")[0],) if differs else ())
        assert comparison.count == heads(5, hidden=2)


@pytest.mark.parametrize("user", ["eve", "ada", "cyd"])
async def test_member_of_the_ranks_that_does_not_belong_there_is_found(
    projection: Projection, redis: Any, redis_prefix: str, user: str
) -> None:
    model = await begin(projection)
    await apply(projection, model, lambda m: m.show("eve", Visibility.HIDDEN))
    (ranks,) = [key async for key in redis.scan_iter(f"{redis_prefix}*:{ALL_TIME}:ranks")]
    (ada,) = await redis.zrange(ranks, 0, 0, desc=True)
    if user == "eve":  # It is there though it is hidden, in the place of somebody else.
        await redis.zrem(ranks, (await redis.zrange(ranks, 0, 0))[0])
        await redis.zadd(ranks, {f"{2**53 - 1 - 2:016}eve": 20})
    else:
        await redis.zadd(ranks, {ada if user == "ada" else f"{2**53 - 1 - 4:016}cyd": 19})

    comparison = await projection.compare_standings("main", 6, model.page(ALL_TIME))

    assert comparison
    assert user in comparison.differing


@pytest.mark.parametrize(("source", "hidden"), [(Source.PAGE, 0), (Source.NEW_PAGE, 0), (Source.LEDGER, 1)])
async def test_user_of_a_page_without_flag_is_visible_and_one_of_the_ledger_stays_what_it_is(
    projection: Projection, source: Source, hidden: int
) -> None:
    generation, checkpoint = projection.make_generation("main", None), Checkpoint.begin(at(2))
    assert await generation.load({ALL_TIME: "ada 5 1 2 h"}, checkpoint, source=Source.NEW_PAGE)

    assert await generation.load({WEEK: "ada 5 1"}, checkpoint, source=source)

    assert await generation.load({ALL_TIME: "ada 6 3"}, checkpoint, source=source)
    counts = {ALL_TIME: heads(1, hidden=hidden), WEEK: heads(1, hidden=hidden)}
    assert await generation.switch(at(3), counts) is Switched.DONE


Kind: TypeAlias = tuple[str, str, int, tuple[str, ...]]
KINDS = st.tuples(
    st.sampled_from(["award", "award", "award", "reverse", "hide", "shadow", "show"]),
    st.sampled_from("abcde"),
    st.integers(1, 3),
    st.sampled_from([(), (WEEK,), (WEEK, DAY)]),
)
BATCHES = st.lists(st.lists(KINDS, min_size=1, max_size=5), max_size=10)
VISIBILITY_OF: Final = {
    "hide": Visibility.HIDDEN,
    "shadow": Visibility.SHADOWED,
    "show": Visibility.VISIBLE,
}


def make_steps(model: Model, kinds: Sequence[Kind]) -> list[Step]:
    """Make those of the steps that can be."""
    steps = list[Step]()
    for kind, user, number, periods in kinds:
        own = [revision for revision, (who, _, _) in model.awards.items() if who == user]
        if kind == "award":
            steps.append(model.award(user, number, periods))
        elif kind == "reverse" and own:
            steps.append(model.reverse(own[number % len(own)]))
        elif kind in VISIBILITY_OF and user in model.users.get(ALL_TIME, {}):
            steps.append(model.show(user, VISIBILITY_OF[kind]))
    return steps


async def check(projection: Projection, model: Model) -> None:
    """Compare all that is read with the model."""
    header = await projection.read_header("main")
    assert header
    assert (header.is_whole, header.all_time) == (True, model.count(ALL_TIME))
    assert header.periods == {place: model.count(place) for place in model.users if place != ALL_TIME}
    for place in PLACES:
        ranking, users = model.ranking(place), "abcde"
        reading = await projection.get_standings("main", [*users], 100, place)
        assert reading
        assert list(reading.top) == ranking
        assert list(reading.users) == [own for user in users if (own := model.own(place, user))]
        assert reading.entrants in (None, len(ranking))
        await check_around(projection, model, place)
        comparison = await projection.compare_standings("main", model.revision, model.page(place), place)
        assert comparison
        assert (comparison.unready, comparison.differing) == (0, ())
        assert comparison.count == model.count(place)


async def check_around(projection: Projection, model: Model, place: str) -> None:
    for user in "abcde":
        around, own = await projection.list_standings_around("main", user, 1, place), model.own(place, user)
        assert around
        expected: list[Standing] = []
        if own and own.rank:
            others = model.ranking(place)
            below = others[own.rank - 1 :] if own.hidden else others[own.rank :]
            expected = [*others[max(0, own.rank - 2) : own.rank - 1], own, *below[:1]]
        assert list(around.top) == expected


async def drop(projection: Projection) -> None:
    header = await projection.read_header("main")
    if header is not None:
        await projection.drop_board("main", header)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BATCHES)
async def test_awards_reversals_and_visibilities_equal_a_plain_model(
    projection: Projection, batches: list[list[Kind]]
) -> None:
    await drop(projection)
    model = Model()
    for kinds in batches:
        before = model.revision
        if not (steps := make_steps(model, kinds)):
            continue
        changes = changes_of(model, before, steps)
        applied = await projection.apply_changes(changes)
        assert isinstance(applied, Applied)
        owns = {change.user_id: model.own(ALL_TIME, change.user_id) for change in changes.changes}
        assert applied.ranks == {user: own.rank for user, own in owns.items() if own and own.rank}
        assert not isinstance(await projection.apply_changes(changes), Applied)
        await check(projection, model)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BATCHES, st.data())
async def test_generation_equals_a_plain_model_however_often_and_late_its_parts_are_loaded(
    projection: Projection, batches: list[list[Kind]], data: st.DataObject
) -> None:
    """Pages are read while the ledger goes on, which is replayed from before the first of them.

    In the end, any of all these comes once more.
    """
    await drop(projection)
    model, generation = Model(), projection.make_generation("main", None)
    checkpoint, replayed = Checkpoint.begin(at(0)), list[Changes]()
    loaded: list[tuple[Mapping[str, str], Source]] = []
    paged = iter(PLACES)
    for kinds in batches:
        before = model.revision
        if steps := make_steps(model, kinds):
            replayed.append(changes_of(model, before, steps))
        if data.draw(st.booleans()):
            place = next(paged, None)
            if place and (page := model.page(place)):
                assert await generation.load({place: page}, checkpoint, source=Source.NEW_PAGE)
                loaded.append(({place: page}, Source.PAGE))
    if not model.revision:
        return
    for place in paged:
        if page := model.page(place):
            assert await generation.load({place: page}, checkpoint, source=Source.PAGE)
            loaded.append(({place: page}, Source.PAGE))
    for changes in replayed:
        lines = {place: changes.lines(place) for place in (ALL_TIME, *changes.periods)}
        assert await generation.load(lines, checkpoint)
        loaded.append((lines, Source.LEDGER))
    for again, source in data.draw(st.lists(st.sampled_from(loaded), max_size=4)):
        assert await generation.load(again, checkpoint, source=source)

    counts = {place: model.count(place) for place in model.users}
    assert await generation.switch(at(model.revision), counts) is Switched.DONE
    await check(projection, model)
