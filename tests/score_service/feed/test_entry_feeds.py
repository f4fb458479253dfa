"""Feeds on real stores: complete, in order, live, resumable, and each on its own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace

import psycopg
import pytest
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.ledgers.boards import PeriodBoards
from tests.fixtures.ledgers.periods import DAY, HOUR, MONDAY
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually, make_award

from score_service.domain.ledger.entry import Entry, EntryKind, EntryPage, FeedRequest, position_of
from score_service.domain.ledger.position import Position
from score_service.errors import (
    BoardNotFoundError,
    HistoryArchivedError,
    PositionUnknownError,
    ShuttingDownError,
    WatcherEvictedError,
)
from score_service.feed import entry_feeds, tail
from score_service.feed.entry_feeds import EntryFeeds, FeedSettings
from score_service.feed.feed import Delivery
from score_service.projection.projection import Projection
from score_service.reconcile.projector import Projector
from score_service.record import database
from score_service.record.feed import EntryStore
from score_service.record.ledger import Ledger

EVERYTHING = FeedRequest("main", Position.start("main"))
RARELY = FeedSettings(poll_seconds=600, checkpoint_seconds=600)
"""Nothing comes by looking for it."""


class Reading:
    """A reader that keeps what it was given."""

    def __init__(self, deliveries: AsyncGenerator[Delivery]) -> None:
        self._deliveries = deliveries
        self.entries: list[Entry] = []
        self.position: Position | None = None

    @property
    def revisions(self) -> list[int]:
        return [entry.revision for entry in self.entries]

    async def step(self) -> Delivery:
        async with asyncio.timeout(60):
            delivery = await anext(self._deliveries)
        self.entries += delivery.entries
        self.position = delivery.position
        return delivery

    async def until(self, revision: int) -> None:
        while self.position is None or self.position.revision < revision:
            await self.step()


class Feeding:
    """Awards that are written, and feeds of them."""

    def __init__(self, ledger: Ledger, feeds: EntryFeeds, stack: AsyncExitStack) -> None:
        self.ledger = ledger
        self.feeds = feeds
        self._stack = stack

    async def award(self, *sizes: int) -> Position:
        """Write commits of so many awards, of which nobody is told, and return where the ledger is then."""
        for size in sizes:
            batch = await self.ledger.record_awards("main", [make_award() for _ in range(size)])
        return batch.changes.after

    async def read(self, request: FeedRequest = EVERYTHING) -> Reading:
        return Reading(await self._stack.enter_async_context(aclosing(self.feeds.read(request))))


@pytest.fixture
def store(record: database.Database) -> EntryStore:
    return EntryStore(record)


@pytest.fixture
async def feeding(ledger: Ledger, store: EntryStore, projection: Projection) -> AsyncIterator[Feeding]:
    settings = FeedSettings(poll_seconds=0.01, checkpoint_seconds=600)
    async with EntryFeeds(store, projection, settings).running() as feeds, AsyncExitStack() as stack:
        yield Feeding(ledger, feeds, stack)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tail, entry_feeds):
        monkeypatch.setattr(module, "PAGE", 3)


@pytest.mark.usefixtures("small_pages")
async def test_reader_gets_what_there_is_and_then_what_comes(feeding: Feeding) -> None:
    await feeding.award(5, 1, 4)
    reading = await feeding.read()
    await reading.until(10)

    end = await feeding.award(2, 7, 1)
    await reading.until(20)

    assert reading.revisions == list(range(1, 21))
    assert reading.position == end


@pytest.mark.usefixtures("small_pages")
async def test_reader_goes_on_after_any_entry(feeding: Feeding) -> None:
    await feeding.award(5, 1, 4)
    reading = await feeding.read()
    await reading.until(10)

    for entry in reading.entries:
        resumed = await feeding.read(replace(EVERYTHING, after=position_of(entry)))
        await resumed.until(10)
        assert resumed.revisions == list(range(entry.revision + 1, 11))


@pytest.mark.usefixtures("small_pages")
async def test_readers_at_the_end_share_what_is_read_of_new_entries(
    feeding: Feeding, store: EntryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = await feeding.award(4)
    after = position_of((await store.read_page("main", EVERYTHING.after, EVERYTHING.kinds, 10)).entries[1])
    readings = [
        await feeding.read(replace(EVERYTHING, after=position)) for position in (EVERYTHING.after, after, end)
    ]
    for reading in readings:
        await reading.until(4)
    pages, read_page = list[EntryPage](), store.read_page

    async def count(*arguments: object) -> EntryPage:
        pages.append(await read_page(*arguments))  # type: ignore[arg-type]
        return pages[-1]

    monkeypatch.setattr(store, "read_page", count)
    await feeding.award(2)
    for reading in readings:
        await reading.until(6)

    assert [len(page.entries) for page in pages] == [2]
    assert [reading.revisions[-2:] for reading in readings] == [[5, 6]] * 3


@pytest.mark.usefixtures("small_pages")
async def test_reader_that_takes_its_time_holds_up_nobody_and_misses_nothing(feeding: Feeding) -> None:
    await feeding.award(1)
    slow, quick = await feeding.read(), await feeding.read()
    await slow.until(1)
    await quick.until(1)

    for revision in range(2, 60):
        await feeding.award(1)
        await quick.until(revision)
    await slow.until(59)

    assert slow.revisions == quick.revisions == list(range(1, 60))


async def test_entries_come_at_once_when_this_process_made_them(
    ledger: Ledger, store: EntryStore, projection: Projection, projector: Projector
) -> None:
    await ledger.record_awards("main", [make_award()])
    async with (
        EntryFeeds(store, projection, RARELY).running() as feeds,
        aclosing(feeds.read(EVERYTHING)) as deliveries,
    ):
        reading = Reading(deliveries)
        await reading.until(1)
        batch = await ledger.record_awards("main", [make_award()])
        feeds.note(batch.changes)
        await reading.until(2)


async def test_entries_come_at_once_when_the_projection_hints_at_them(
    ledger: Ledger, store: EntryStore, projection: Projection, projector: Projector
) -> None:
    batch = await ledger.record_awards("main", [make_award()])
    await projector.project(batch.changes)
    async with (
        EntryFeeds(store, projection, RARELY).running() as feeds,
        aclosing(feeds.read(EVERYTHING)) as deliveries,
    ):
        reading = Reading(deliveries)
        await reading.until(1)
        waiting = asyncio.create_task(reading.until(2))

        async def has_come() -> bool:  # Nobody hears the hints before the subscription.
            made = await ledger.record_awards("main", [make_award()])
            await projector.project(made.changes)
            return waiting.done()

        await eventually(has_come)
        await waiting


async def test_entries_come_while_redis_is_unavailable(
    ledger: Ledger, store: EntryStore, lossy_projection: Projection, redis_proxy: Proxy
) -> None:
    await redis_proxy.stop()
    await ledger.record_awards("main", [make_award()])
    async with (
        EntryFeeds(store, lossy_projection).running() as feeds,
        aclosing(feeds.read(EVERYTHING)) as deliveries,
    ):
        reading = Reading(deliveries)
        await reading.until(1)
        await ledger.record_awards("main", [make_award()])
        await reading.until(2)


async def test_reader_of_some_kinds_gets_these_and_the_positions_between(
    feeding: Feeding, period_boards: PeriodBoards
) -> None:
    await period_boards.award("ada")
    await period_boards.award("bob")
    request = replace(EVERYTHING, kinds=frozenset({EntryKind.SETTINGS, EntryKind.PERIOD_CLOSED}))
    reading = await feeding.read(request)

    settings = await reading.step()
    passed = await reading.step()
    period_boards.moment.set(MONDAY + DAY + HOUR)
    await period_boards.award("ada")
    await period_boards.close("day:2026-11-30")
    await reading.until(5)

    assert [entry.kind for entry in settings.entries] == [EntryKind.SETTINGS]
    assert (passed.page, passed.position.revision) == (None, 3)
    assert reading.revisions == [1, 5]


async def test_reader_who_has_everything_is_told_so_at_once_and_from_time_to_time(
    ledger: Ledger, store: EntryStore, projection: Projection
) -> None:
    end = (await ledger.record_awards("main", [make_award()])).changes.after
    settings = FeedSettings(checkpoint_seconds=0.01)
    async with (
        EntryFeeds(store, projection, settings).running() as feeds,
        aclosing(feeds.read(replace(EVERYTHING, after=end))) as deliveries,
    ):
        reading = Reading(deliveries)
        for _ in range(3):
            assert await reading.step() == Delivery(None, (), end)


async def test_position_of_another_history_is_told(feeding: Feeding) -> None:
    end = await feeding.award(3)

    for position in (Position(end.revision, "0" * 16), Position(end.revision + 1, end.mark)):
        reading = await feeding.read(replace(EVERYTHING, after=position))
        with pytest.raises(PositionUnknownError):
            await reading.step()


async def test_feed_of_a_board_that_is_not_there_is_told(feeding: Feeding) -> None:
    reading = await feeding.read()

    with pytest.raises(BoardNotFoundError):
        await reading.step()


def restore(database: Database, revision: int) -> None:
    """Take the record of the board back to a revision, the last of a commit, as a restored backup does."""
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        for table, column in (("award", "revision"), ("commit", "last_revision")):
            connection.execute(f"DELETE FROM score.{table} WHERE {column} > %s", [revision])
        connection.execute("DELETE FROM score.standing")
        connection.execute(
            "UPDATE score.board SET revision = %s, digest = c.digest FROM score.commit c"
            " WHERE c.last_revision = %s",
            [revision, revision],
        )


@pytest.mark.parametrize("awards", [0, 1, 2, 3, 50])
async def test_feed_ends_where_the_record_is_restored_and_goes_another_way(
    feeding: Feeding, database: Database, awards: int
) -> None:
    await feeding.award(1, 1, 1)
    reading, behind = await feeding.read(), await feeding.read()
    await reading.until(3)
    restore(database, 1)
    if awards:
        await feeding.award(*[1] * awards)

    with pytest.raises(PositionUnknownError):
        await reading.until(100)
    await behind.until(1 + awards)

    assert reading.revisions == [1, 2, 3]
    assert behind.revisions == list(range(1, 2 + awards))


async def test_feed_goes_on_where_the_record_is_restored_to_what_its_reader_has(
    feeding: Feeding, database: Database
) -> None:
    first = await feeding.award(1)
    await feeding.award(1)
    reading = await feeding.read(replace(EVERYTHING, after=first))
    other = await feeding.read()
    await other.until(2)
    restore(database, 1)
    await feeding.award(1, 1)

    with pytest.raises(PositionUnknownError):
        await other.until(4)
    await reading.until(3)

    assert reading.revisions == [2, 3]


async def test_feed_ends_where_the_record_is_restored_to_before_the_board(
    feeding: Feeding, database: Database
) -> None:
    await feeding.award(1)
    reading = await feeding.read()
    await reading.until(1)
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("TRUNCATE score.board, score.award, score.commit, score.standing")

    with pytest.raises(BoardNotFoundError):
        await reading.step()


async def test_feeds_beyond_the_limit_are_rejected(
    ledger: Ledger, store: EntryStore, projection: Projection
) -> None:
    await ledger.record_awards("main", [make_award()])
    async with (
        EntryFeeds(store, projection, FeedSettings(feeds_max=1)).running() as feeds,
        aclosing(feeds.read(EVERYTHING)) as one,
        aclosing(feeds.read(EVERYTHING)) as other,
    ):
        await anext(one)
        with pytest.raises(WatcherEvictedError):
            await anext(other)
        await one.aclose()
        assert feeds.open == 0
        await anext(feeds.read(EVERYTHING))


async def test_feeds_end_with_the_process_and_none_begins(feeding: Feeding) -> None:
    await feeding.award(1)
    reading = await feeding.read()
    await reading.until(1)
    step = asyncio.create_task(reading.step())
    await asyncio.sleep(0)

    feeding.feeds.close()

    with pytest.raises(ShuttingDownError):
        await step
    with pytest.raises(ShuttingDownError):
        await (await feeding.read()).step()


async def test_nothing_is_left_running_when_the_last_reader_has_gone(feeding: Feeding) -> None:
    await feeding.award(1)
    reading = await feeding.read()
    await reading.until(1)
    assert "tail" in {task.get_name() for task in asyncio.all_tasks()}

    await reading._deliveries.aclose()

    async def is_gone() -> bool:
        return "tail" not in {task.get_name() for task in asyncio.all_tasks()}

    await eventually(is_gone)


@pytest.mark.usefixtures("small_pages")
async def test_slow_reader_that_the_cut_passes_by_is_told_so(feeding: Feeding, archiving: Archiving) -> None:
    await feeding.award(*[1] * 9)
    slow, fast = await feeding.read(), await feeding.read()
    await slow.step()
    await fast.until(9)
    cut = await archiving.cut_and_delete(6)

    with pytest.raises(HistoryArchivedError) as caught:
        await slow.until(9)
    await feeding.award(1)
    await fast.until(11)
    resumed = await feeding.read(replace(EVERYTHING, after=cut))
    await resumed.until(11)

    assert caught.value.position == cut
    assert slow.revisions == [1, 2, 3]
    assert fast.revisions == list(range(1, 12))
    assert resumed.revisions == list(range(7, 12))
    with pytest.raises(HistoryArchivedError):
        await (await feeding.read()).step()


async def test_tail_that_the_cut_passes_by_goes_on_at_the_end(
    ledger: Ledger, store: EntryStore, projection: Projection, archiving: Archiving
) -> None:
    async with EntryFeeds(store, projection, RARELY).running() as feeds, AsyncExitStack() as stack:
        feeding = Feeding(ledger, feeds, stack)
        await feeding.award(1)
        reading = await feeding.read()
        await reading.step()
        await feeding.award(1, 1)
        await archiving.cut_and_delete()
        feeds.note((await ledger.record_awards("main", [make_award()])).changes)
        with pytest.raises(HistoryArchivedError):
            await reading.step()
        end = await ledger.read_head("main")
        resumed = await feeding.read(replace(EVERYTHING, after=archiving.former[3]))
        await resumed.step()
        assert resumed.position == end
