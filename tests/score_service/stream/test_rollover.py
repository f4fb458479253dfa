"""Watches of periods: what they show, and how they turn over from one to the next."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.fixtures.ledgers.boards import EVERYTHING, QUICK, PeriodBoards, Watching
from tests.fixtures.ledgers.periods import DAY, HOUR, MONDAY, Moment
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.redis import delete_keys

from score_service.domain.board.board_settings import BoardSettings, Season
from score_service.domain.board.period import PeriodState, PeriodView, parse_period_choice
from score_service.domain.ledger.position import Position
from score_service.domain.standings.standing import Source, Standing
from score_service.domain.standings.watch import Checkpoint, Snapshot, Update, WatchMessage, WatchRequest
from score_service.errors import BoardNotFoundError, PeriodUnknownError
from score_service.projection.projection import Projection
from score_service.record.ledger import Ledger
from score_service.stream.feeds import Feeds
from score_service.stream.hub import HubSettings
from score_service.stream.hubs import Hubs

TUESDAY = MONDAY + DAY
MONDAYS, TUESDAYS = "day:2026-11-30", "day:2026-12-01"


class Watch:
    """Opens watches of `main`."""

    def __init__(self, hubs: Hubs, stack: AsyncExitStack) -> None:
        self.hubs = hubs
        self._stack = stack

    async def __call__(
        self, text: str, after: Position | None = None, request: WatchRequest = EVERYTHING
    ) -> Watching:
        choice = parse_period_choice(text)
        assert choice is not None
        stream = self.hubs.watch(replace(request, choice=choice, after=after))
        return Watching(await self._stack.enter_async_context(aclosing(stream)))


async def open_watches(feeds: Feeds, settings: HubSettings = QUICK) -> AsyncIterator[Watch]:
    async with Hubs(feeds, settings).running() as hubs, AsyncExitStack() as stack:
        yield Watch(hubs, stack)


@pytest.fixture
async def watch(feeds: Feeds) -> AsyncIterator[Watch]:
    async for opened in open_watches(feeds):
        yield opened


@pytest.fixture
async def idle_watch(feeds: Feeds) -> AsyncIterator[Watch]:
    """Return watches with a checkpoint every moment."""
    async for opened in open_watches(feeds, replace(QUICK, checkpoint_seconds=0.05)):
        yield opened


@pytest.fixture
async def lossy_watch(feeds: Feeds, lossy_projection: Projection) -> AsyncIterator[Watch]:
    """Return watches that reach Redis through the proxy."""
    async for opened in open_watches(replace(feeds, projection=lossy_projection)):
        yield opened


def shown(message: WatchMessage) -> PeriodView:
    assert isinstance(message.body, Snapshot)
    assert message.body.period is not None
    return message.body.period


def told(message: WatchMessage) -> tuple[str, tuple[Standing, ...], bool]:
    """Return what a snapshot says."""
    assert isinstance(message.body, Snapshot)
    return shown(message).period.period_id, message.body.top, message.body.reset


async def test_watch_of_a_period_begins_with_its_top_and_goes_on_with_what_changes_in_it(
    period_boards: PeriodBoards, watch: Watch, moment: Moment
) -> None:
    await period_boards.award("ada", 9)
    moment.set(TUESDAY)
    await period_boards.award("bob", 2)
    watching = await watch("day")

    first = await watching.step()
    await period_boards.award("ada", 3)
    second = await watching.step()

    assert told(first) == (TUESDAYS, (Standing("bob", 2, 1, 3),), False)
    assert (shown(first).state, shown(first).entrants) == (PeriodState.OPEN, 1)
    ada, bob = Standing("ada", 3, 1, 4), Standing("bob", 2, 2, 3)
    assert second.body == Update((ada, bob), (ada,))


async def test_watches_of_a_board_each_see_what_they_chose(
    period_boards: PeriodBoards, watch: Watch, moment: Moment
) -> None:
    await period_boards.award("ada", 9)
    moment.set(TUESDAY)
    watches = [await watch(text) for text in ("day", "week", MONDAYS)]
    tops = [told(await watching.step())[1] for watching in watches]

    made = await period_boards.award("bob", 2)
    await watches[0].step()
    await watches[1].step()

    assert tops == [(), (Standing("ada", 9, 1, 2),), (Standing("ada", 9, 1, 2),)]
    assert [dict(watching.totals) for watching in watches[:2]] == [{"bob": 2}] * 2
    assert watches[0].position == watches[1].position == made.recorded.position
    assert len(watch.hubs._hubs) == 3


async def test_watch_of_the_current_period_turns_over_without_a_gap_when_it_ends(
    period_boards: PeriodBoards, watch: Watch, moment: Moment
) -> None:
    made = await period_boards.award("ada", 9)
    watching = await watch("day")
    await watching.step()
    moment.set(TUESDAY)

    snapshot, vouched = await watching.step(), await watching.step()
    await period_boards.award("bob", 2)
    update = await watching.step()

    assert told(snapshot) == (TUESDAYS, (), False)
    assert vouched.body == Checkpoint()
    assert snapshot.position == vouched.position == made.recorded.position
    bob = Standing("bob", 2, 1, 3)
    assert update.body == Update((bob,), (bob,))


async def test_what_changed_in_the_next_period_before_the_watch_turned_over_follows_its_snapshot(
    period_boards: PeriodBoards, watch: Watch, moment: Moment
) -> None:
    await period_boards.award("ada", 9)
    watching = await watch("day", request=replace(EVERYTHING, top_n=1))
    await watching.step()
    (hub,) = watch.hubs._hubs.values()
    refresh = hub.refresh

    async def wait() -> None:
        await asyncio.sleep(0)

    hub.refresh = wait  # type: ignore[method-assign]
    moment.set(TUESDAY)
    for user, points in (("bob", 5), ("cy", 2), ("cy", 1)):
        await period_boards.award(user, points)
    hub.refresh = refresh  # type: ignore[method-assign]
    snapshot, update = await watching.step(), await watching.step()

    bob = Standing("bob", 5, 1, 3)
    assert told(snapshot) == (TUESDAYS, (bob,), False)
    assert isinstance(update.body, Update)
    assert {(s.user_id, s.total) for s in update.body.scores} == {("bob", 5), ("cy", 3)}
    assert snapshot.position == update.position


async def test_watch_that_resumes_after_its_period_ended_gets_all_that_changed_in_the_next(
    period_boards: PeriodBoards, watch: Watch, moment: Moment
) -> None:
    made = await period_boards.award("ada", 9)
    await period_boards.award("bob", 4)
    moment.set(TUESDAY)
    await period_boards.award("cy", 2)
    resumed = await watch("day", after=made.recorded.position)

    snapshot, update = await resumed.step(), await resumed.step()

    assert told(snapshot)[0] == TUESDAYS
    assert isinstance(update.body, Update)
    assert [(s.user_id, s.total, s.rank) for s in update.body.scores] == [("cy", 2, 1)]


async def test_award_of_yesterday_reaches_who_watches_yesterday_alone(
    period_boards: PeriodBoards, watch: Watch, moment: Moment
) -> None:
    await period_boards.award("ada", 9)
    moment.set(TUESDAY + timedelta(minutes=1))
    current, yesterday = await watch("day"), await watch(MONDAYS)
    for watching in (current, yesterday):
        await watching.step()

    await period_boards.award("ada", 1, occurred_at=TUESDAY - HOUR)
    await period_boards.award("bob", 1)
    await yesterday.step()
    while not current.totals:  # The position may move alone before.
        await current.step()

    assert yesterday.totals == {"ada": 10}
    assert current.totals == {"bob": 1}


@pytest.mark.parametrize("is_projected", [True, False], ids=["projected", "not yet projected"])
async def test_watch_of_a_period_that_becomes_final_gets_its_result_and_then_nothing_but_checkpoints(
    period_boards: PeriodBoards,
    idle_watch: Watch,
    moment: Moment,
    ledger: Ledger,
    *,
    is_projected: bool,
) -> None:
    await period_boards.award("ada", 9)
    moment.set(TUESDAY + HOUR)
    watching = await idle_watch(MONDAYS)
    assert shown(await watching.step()).state is PeriodState.REVIEW
    finish: Callable[[str], Awaitable[object]]
    finish = period_boards.close if is_projected else period_boards.archive
    await finish(MONDAYS)

    while not isinstance((message := await watching.step()).body, Snapshot):
        pass
    await period_boards.award("bob", 2)
    rest = [await watching.step() for _ in range(5)]

    assert told(message) == (MONDAYS, (Standing("ada", 9, 1, 2),), False)
    assert (shown(message).state, shown(message).entrants) == (PeriodState.FINAL, 1)
    assert message.source is Source.RECORD
    assert {(type(later.body), later.source) for later in rest} == {(Checkpoint, Source.RECORD)}
    assert await ledger.has_position("main", rest[-1].position)


async def test_final_period_is_watched_by_one_snapshot_and_checkpoints(
    period_boards: PeriodBoards, idle_watch: Watch, moment: Moment
) -> None:
    await period_boards.award("ada", 9)
    moment.set(TUESDAY + HOUR)
    await period_boards.close(MONDAYS)
    watching = await idle_watch(MONDAYS)

    snapshot = await watching.step()
    made = await period_boards.award("bob", 2)
    resumed = await idle_watch(MONDAYS, after=made.recorded.position)

    assert told(snapshot) == (MONDAYS, (Standing("ada", 9, 1, 2),), False)
    assert (await watching.step()).body == Checkpoint()
    assert told(await resumed.step())[2] is False
    checkpoint = await resumed.step()
    assert (checkpoint.body, checkpoint.position) == (Checkpoint(), made.recorded.position)


async def test_watch_of_the_previous_period_turns_over_when_the_next_one_is_final(
    period_boards: PeriodBoards, watch: Watch, moment: Moment
) -> None:
    await period_boards.award("ada", 9)
    moment.set(TUESDAY + HOUR)
    await period_boards.award("bob", 2)
    await period_boards.close(MONDAYS)
    watching = await watch("day:previous")
    first = await watching.step()
    moment.set(TUESDAY + DAY + HOUR)
    await period_boards.close(TUESDAYS)

    second = await watching.step()

    assert [told(message)[0] for message in (first, second)] == [MONDAYS, TUESDAYS]
    assert told(second)[1:] == ((Standing("bob", 2, 1, 3),), False)


async def test_watch_of_a_season_ends_with_it_where_no_other_follows_at_once(
    period_boards: PeriodBoards, watch: Watch, moment: Moment
) -> None:
    seasons = (Season("one", MONDAY, TUESDAY), Season("two", TUESDAY + DAY, TUESDAY + 2 * DAY))
    await period_boards.configure(BoardSettings(seasons=seasons), "seasonal")
    watching = await watch("season", request=replace(EVERYTHING, board_id="seasonal"))
    first = await watching.step()
    moment.set(TUESDAY)

    with pytest.raises(PeriodUnknownError):
        await watching.step()
    assert shown(first).next_starts_at == TUESDAY + DAY


@pytest.mark.parametrize("text", ["season", TUESDAYS, "day:previous"])
async def test_period_that_is_not_there_cannot_be_watched(
    period_boards: PeriodBoards, watch: Watch, text: str
) -> None:
    with pytest.raises(PeriodUnknownError):
        await (await watch(text)).step()
    nowhere = await watch("day", request=replace(EVERYTHING, board_id="nowhere"))
    with pytest.raises(BoardNotFoundError):
        await nowhere.step()


async def test_watch_turns_over_while_redis_is_unavailable(
    period_boards: PeriodBoards, lossy_watch: Watch, redis_proxy: Proxy, moment: Moment
) -> None:
    await period_boards.award("ada", 9)
    watching = await lossy_watch("day")
    await watching.step()
    redis_proxy.hold()
    redis_proxy.reset()
    moment.set(TUESDAY)

    while not isinstance((message := await watching.step()).body, Snapshot):
        pass
    await period_boards.award("bob", 2)
    while "bob" not in watching.totals:
        await watching.step()

    assert told(message) == (TUESDAYS, (), False)
    assert message.source is Source.RECORD
    assert watching.resets == 0


async def test_watch_turns_over_where_redis_was_wiped_at_the_same_time(
    period_boards: PeriodBoards, watch: Watch, moment: Moment, redis_url: str, redis_prefix: str
) -> None:
    await period_boards.award("ada", 9)
    watching = await watch("day")
    await watching.step()
    await delete_keys(redis_url, redis_prefix)
    moment.set(TUESDAY)
    await period_boards.award("bob", 2)

    while "bob" not in watching.totals:
        await watching.step()

    assert watching.totals == {"bob": 2}
    assert watching.top == (Standing("bob", 2, 1, 3),)
    assert watching.resets == 0


async def test_watch_turns_over_by_the_clock_and_waits_for_nothing_else(
    period_boards: PeriodBoards, feeds: Feeds, moment: Moment
) -> None:
    moment.run()
    now = datetime.now(UTC)
    ends_at = now + timedelta(seconds=2)
    seasons = (Season("one", now - HOUR, ends_at), Season("two", ends_at, now + HOUR))
    await period_boards.configure(BoardSettings(seasons=seasons, grace_seconds=0), "seasonal")
    async for watch in open_watches(feeds, HubSettings(poll_seconds=600)):
        watching = await watch("season", request=replace(EVERYTHING, board_id="seasonal"))

        names = [told(await watching.step())[0] for _ in range(2)]

    assert names == ["season:one", "season:two"]
    assert datetime.now(UTC) >= ends_at
