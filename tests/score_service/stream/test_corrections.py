"""Watches of boards of which awards are taken back and users are hidden, from both stores."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import fields, replace
from typing import Final

import pytest
from tests.fixtures.ledgers.boards import QUICK, PeriodBoards, Watching
from tests.fixtures.ledgers.correcting import Correcting
from tests.fixtures.ledgers.periods import DAY, MONDAY, Moment
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.stores import eventually

from score_service.domain.board.period import parse_period_choice
from score_service.domain.ledger.changes import Changes
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.visibility import Visibility
from score_service.domain.standings.standing import Source, Standing
from score_service.domain.standings.watch import Snapshot, Update, WatchMessage, WatchRequest
from score_service.projection.projection import Projection
from score_service.reconcile.projector import Projector
from score_service.stream.feeds import Feeds
from score_service.stream.hubs import Hubs

TUESDAY = MONDAY + DAY
MONDAYS = "day:2026-11-30"
ROWS: Final = (("ada", 30), ("eve", 20), ("bob", 20))
CHOICES: Final = ("", "week", MONDAYS)
REQUESTS: Final = {
    "top": WatchRequest("main", 10),
    "all_scores": WatchRequest("main", 2, all_scores=True),
    "user_ids": WatchRequest("main", 2, user_ids=frozenset({"bob", "eve"})),
}
"""Whatever else a watcher may ask for of a board must be watched here as well."""


class World:
    """A board with periods, and watches of it."""

    def __init__(
        self,
        boards: PeriodBoards,
        correcting: Correcting,
        projector: Projector,
        hubs: Hubs,
        stack: AsyncExitStack,
    ) -> None:
        self.boards = boards
        self._correcting = correcting
        self._projector = projector
        self._hubs = hubs
        self._stack = stack
        self._awards = dict[str, list[str]]()

    async def begin(self) -> None:
        for user, points in ROWS:
            await self.award(user, points)

    async def award(self, user: str, points: int) -> Position:
        made = await self.boards.award(user, points)
        self._awards.setdefault(user, []).append(made.recorded.award_id)
        return made.recorded.position

    async def show(self, user: str, visibility: Visibility) -> Position:
        return await self._project(await self._correcting.show(user, visibility))

    async def reverse_all(self, user: str) -> Position:
        return await self._project(await self._correcting.reverse(self._awards.pop(user)))

    async def watch(self, request: WatchRequest, period: str = "", after: Position | None = None) -> Watching:
        choice = parse_period_choice(period) if period else None
        stream = self._hubs.watch(replace(request, choice=choice, after=after))
        return Watching(await self._stack.enter_async_context(aclosing(stream)))

    async def _project(self, changes: Changes) -> Position:
        async def has_followed() -> bool:
            return await self._projector.project(changes) is not None

        await eventually(has_followed)
        return changes.after


@pytest.fixture(params=["cache", "record"])
async def world(
    request: pytest.FixtureRequest,
    period_boards: PeriodBoards,
    correcting: Correcting,
    projector: Projector,
    feeds: Feeds,
    lossy_projection: Projection,
    redis_proxy: Proxy,
) -> AsyncIterator[World]:
    """Return a world whose watches read the projection, or the record because Redis is unavailable."""
    if request.param == "record":
        redis_proxy.hold()
        feeds = replace(feeds, projection=lossy_projection)
    async with Hubs(feeds, QUICK).running() as hubs, AsyncExitStack() as stack:
        world = World(period_boards, correcting, projector, hubs, stack)
        await world.begin()
        yield world


async def reach(watching: Watching, position: Position) -> list[WatchMessage]:
    """Watch until a position, and return all that was sent on the way."""
    messages = [await watching.step()]
    while watching.position.revision < position.revision:
        messages.append(await watching.step())
    assert watching.position == position
    return messages


def scores_of(messages: Sequence[WatchMessage], user: str) -> list[Standing]:
    bodies = [message.body for message in messages]
    return [s for body in bodies if isinstance(body, Update) for s in body.scores if s.user_id == user]


def names(top: Sequence[Standing]) -> list[str]:
    return [standing.user_id for standing in top]


def test_all_that_a_watcher_may_ask_for_is_watched_here() -> None:
    asked = {field.name for field in fields(WatchRequest)}

    assert asked == {"board_id", "top_n", "after", "all_scores", "user_ids", "choice"}


@pytest.mark.parametrize("period", CHOICES)
@pytest.mark.parametrize("hiding", [Visibility.HIDDEN, Visibility.SHADOWED])
async def test_hidden_user_leaves_every_top_at_one_position_and_comes_back(
    world: World, hiding: Visibility, period: str
) -> None:
    watches = {name: await world.watch(request, period) for name, request in REQUESTS.items()}
    for watching in watches.values():
        await watching.step()
        assert names(watching.top)[:2] == ["ada", "eve"]
    whole = watches["top"].top

    hidden_at = await world.show("eve", hiding)
    for name, watching in watches.items():
        messages = await reach(watching, hidden_at)
        assert [(s.user_id, s.rank) for s in watching.top] == [("ada", 1), ("bob", 2)]
        told = scores_of(messages, "eve")
        assert [s.hidden for s in told] == ([] if name == "top" else [True])
        ranks = [s.rank for s in told if watching.sources[-1] is Source.CACHE]
        assert set(ranks) <= {2 if hiding is Visibility.SHADOWED else None}

    shown_at = await world.show("eve", Visibility.VISIBLE)
    for name, watching in watches.items():
        messages = await reach(watching, shown_at)
        assert watching.top == whole[: REQUESTS[name].top_n]
        assert [s.hidden for s in scores_of(messages, "eve")] == ([] if name == "top" else [False])
        assert watching.resets == 0


@pytest.mark.parametrize("period", CHOICES)
@pytest.mark.parametrize("hiding", [Visibility.HIDDEN, Visibility.SHADOWED])
async def test_watcher_that_was_disconnected_meanwhile_ends_like_one_that_stayed(
    world: World, hiding: Visibility, period: str
) -> None:
    left = (await world.award("cyd", 1)).revision
    first = await world.watch(REQUESTS["all_scores"], period)
    await first.step()
    assert first.position.revision == left

    await world.show("eve", hiding)
    at = await world.award("eve", 5)
    resumed = await world.watch(REQUESTS["all_scores"], period, after=first.position)
    told: list[Standing] = []
    while not told or told[-1].total != 25:
        told += scores_of([await resumed.step()], "eve")

    assert resumed.position == at
    assert names(resumed.top) == ["ada", "bob"]
    eve = told[-1]
    assert all(standing.hidden for standing in told)
    if resumed.sources[-1] is Source.CACHE:
        assert eve.rank == (2 if hiding is Visibility.SHADOWED else None)
    assert resumed.resets == 0


@pytest.mark.parametrize("period", CHOICES)
async def test_user_of_whom_no_award_is_left_leaves_the_top_with_a_total_of_0(
    world: World, period: str
) -> None:
    watching = await world.watch(REQUESTS["user_ids"], period)
    await watching.step()

    messages = await reach(watching, await world.reverse_all("eve"))

    assert [(s.user_id, s.rank) for s in watching.top] == [("ada", 1), ("bob", 2)]
    assert scores_of(messages, "eve") == [Standing("eve", 0, None, 0)]


@pytest.mark.parametrize("period", CHOICES)
async def test_awards_of_a_hidden_user_are_told_as_hidden_and_move_no_top(world: World, period: str) -> None:
    await world.show("eve", Visibility.HIDDEN)
    everything, top = (
        await world.watch(REQUESTS["all_scores"], period),
        await world.watch(REQUESTS["top"], period),
    )
    await everything.step()
    await top.step()

    messages = await reach(everything, await world.award("eve", 100))
    at = await world.award("bob", 1)
    shown = await reach(top, at)

    assert [(s.total, s.rank, s.hidden) for s in scores_of(messages, "eve")] == [(120, None, True)]
    assert all("eve" not in str(message.body) for message in shown)


async def test_result_of_a_period_is_shown_anew_where_a_user_is_hidden_after_it_was_final(
    world: World, moment: Moment
) -> None:
    moment.set(TUESDAY + DAY)
    await world.boards.close(MONDAYS)
    watching, other = await world.watch(REQUESTS["top"], MONDAYS), await world.watch(REQUESTS["top"], "day")
    message = await watching.step()
    await other.step()
    assert isinstance(message.body, Snapshot)
    whole = watching.top
    assert names(whole) == ["ada", "eve", "bob"]

    hidden_at = await world.show("eve", Visibility.HIDDEN)
    await reach(watching, hidden_at)
    assert [(s.user_id, s.rank) for s in watching.top] == [("ada", 1), ("bob", 2)]

    await reach(watching, await world.show("eve", Visibility.VISIBLE))
    assert watching.top == whole
    assert watching.resets == 0
