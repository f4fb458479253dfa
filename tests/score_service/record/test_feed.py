"""The pages of a feed on a real record: in order, without gaps, and of this history."""

import psycopg
import pytest
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.ledgers.boards import PeriodBoards
from tests.fixtures.ledgers.periods import DAY, HOUR, MONDAY
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import make_award

from score_service.domain.ledger.entry import (
    ALL_KINDS,
    AwardEntry,
    EntryKind,
    EntryPage,
    OtherEntry,
    position_of,
)
from score_service.domain.ledger.position import Position
from score_service.errors import BoardNotFoundError, HistoryArchivedError, PositionUnknownError
from score_service.record import database
from score_service.record.feed import EntryStore, GapError
from score_service.record.ledger import Ledger

START = Position.start("main")


@pytest.fixture
def store(record: database.Database) -> EntryStore:
    return EntryStore(record)


async def read_all(
    store: EntryStore, after: Position = START, kinds: frozenset[EntryKind] = ALL_KINDS, limit: int = 2
) -> list[EntryPage]:
    """Read pages up to the end of the ledger."""
    pages = [await store.read_page("main", after, kinds, limit)]
    while pages[-1].is_full:
        pages.append(await store.read_page("main", pages[-1].upto, kinds, limit))
    return pages


async def record(ledger: Ledger, *sizes: int) -> list[Position]:
    """Write commits of so many awards, and return where the ledger stood after each."""
    batches = [await ledger.record_awards("main", [make_award() for _ in range(size)]) for size in sizes]
    return [batch.changes.after for batch in batches]


async def test_an_entry_has_what_the_ledger_has_of_an_award(store: EntryStore, ledger: Ledger) -> None:
    award = make_award("ada", 7)._replace(trace_id="0af7651916cd43dd8448eb211c80319c")
    batch = await ledger.record_awards("main", [award])

    [entry] = (await store.read_page("main", START, ALL_KINDS, 10)).entries

    assert isinstance(entry, AwardEntry)
    assert position_of(entry) == batch.changes.after
    assert (entry.award_id, entry.user_id, entry.points, entry.total) == (award.award_id, "ada", 7, 7)
    assert (entry.action_type, entry.action_id) == (award.action_type, award.action_id)
    assert (entry.caller, entry.trace_id, entry.occurred_at) == (award.caller, award.trace_id, None)
    assert entry.recorded_at > 1_700_000_000_000_000


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 100])
async def test_pages_of_any_size_have_every_entry_once_with_the_mark_of_its_commit(
    store: EntryStore, ledger: Ledger, limit: int
) -> None:
    first, second, third = await record(ledger, 3, 1, 5)

    pages = await read_all(store, limit=limit)

    entries = [entry for page in pages for entry in page.entries]
    assert [entry.revision for entry in entries] == list(range(1, 10))
    assert [entry.mark for entry in entries] == [first.mark] * 3 + [second.mark] + [third.mark] * 5
    assert [page.after for page in pages[1:]] == [page.upto for page in pages[:-1]]
    assert pages[-1].upto == third


async def test_a_page_goes_on_from_within_a_commit(store: EntryStore, ledger: Ledger) -> None:
    [end] = await record(ledger, 4)

    page = await store.read_page("main", Position(2, end.mark), ALL_KINDS, 10)

    assert [entry.revision for entry in page.entries] == [3, 4]


async def test_nothing_follows_the_end_of_the_ledger(store: EntryStore, ledger: Ledger) -> None:
    [end] = await record(ledger, 2)

    page = await store.read_page("main", end, ALL_KINDS, 10)

    assert (page.entries, page.upto, page.is_full) == ((), end, False)


async def test_other_entries_stand_between_the_awards(store: EntryStore, period_boards: PeriodBoards) -> None:
    await period_boards.award("ada", 3)
    await period_boards.award("bob", 4)
    period_boards.moment.set(MONDAY + DAY + HOUR)
    await period_boards.close("day:2026-11-30")
    await period_boards.award("ada", 5)

    entries = [entry for page in await read_all(store) for entry in page.entries]

    kinds = [EntryKind.SETTINGS, EntryKind.AWARD, EntryKind.AWARD, EntryKind.PERIOD_CLOSED, EntryKind.AWARD]
    assert [entry.kind for entry in entries] == kinds
    assert [entry.revision for entry in entries] == [1, 2, 3, 4, 5]
    award, closed = entries[1], entries[3]
    assert isinstance(award, AwardEntry)
    assert isinstance(closed, OtherEntry)
    assert set(award.periods.split()) == {"day:2026-11-30", "week:2026-W49", "month:2026-11"}
    assert '"period_id":"day:2026-11-30"' in closed.body


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_entries_of_some_kinds_are_found_among_the_others(
    store: EntryStore, period_boards: PeriodBoards, limit: int
) -> None:
    for _ in range(5):
        await period_boards.award("ada", 3)
    period_boards.moment.set(MONDAY + DAY + HOUR)
    await period_boards.close("day:2026-11-30")
    head = (await store.list_heads(["main"]))["main"]

    for kinds, revisions in [
        ({EntryKind.PERIOD_CLOSED}, [7]),
        ({EntryKind.SETTINGS, EntryKind.PERIOD_CLOSED}, [1, 7]),
        ({EntryKind.AWARD}, [2, 3, 4, 5, 6]),
        ({EntryKind.REVERSAL}, []),
    ]:
        pages = await read_all(store, kinds=frozenset(kinds), limit=limit)
        assert [entry.revision for page in pages for entry in page.entries] == revisions
        assert pages[-1].upto == head


async def test_an_entry_of_a_later_version_leaves_no_gap(
    store: EntryStore, period_boards: PeriodBoards, database: Database
) -> None:
    await period_boards.award("ada")
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("UPDATE score.entry SET kind = 'of_tomorrow'")

    first, second = (await store.read_page("main", START, ALL_KINDS, 10)).entries

    assert (first.revision, first.kind) == (1, None)
    assert (second.revision, second.kind) == (2, EntryKind.AWARD)


async def test_a_position_of_another_history_is_unknown(store: EntryStore, ledger: Ledger) -> None:
    [end] = await record(ledger, 3)

    for position in [
        Position(2, "0" * 16),
        Position(3, "0" * 16),
        Position(4, end.mark),
        Position(0, end.mark),
        Position.start("other"),
        Position(2**62, end.mark),
    ]:
        with pytest.raises(PositionUnknownError):
            await store.read_page("main", position, ALL_KINDS, 10)


async def test_a_board_that_is_not_there_is_not_found(store: EntryStore) -> None:
    with pytest.raises(BoardNotFoundError):
        await store.read_page("main", START, ALL_KINDS, 10)


@pytest.mark.parametrize("revision", [1, 2, 4])
async def test_a_ledger_that_lacks_an_award_is_not_passed_on_with_a_gap(
    store: EntryStore, ledger: Ledger, database: Database, revision: int
) -> None:
    await record(ledger, 4)
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM score.award WHERE revision = %s", [revision])

    with pytest.raises(GapError):
        await store.read_page("main", START, ALL_KINDS, 10)


async def test_heads_of_several_boards_are_read_at_once(store: EntryStore, ledger: Ledger) -> None:
    [main] = await record(ledger, 2)
    other = (await ledger.record_awards("other", [make_award(board_id="other")])).changes.after

    assert await store.list_heads(["main", "other", "nowhere"]) == {"main": main, "other": other}


@pytest.mark.parametrize("is_deleted", [False, True])
@pytest.mark.parametrize("kinds", [ALL_KINDS, {EntryKind.AWARD}, {EntryKind.SETTINGS}])
async def test_entries_after_a_position_before_the_cut_are_archived(
    store: EntryStore,
    ledger: Ledger,
    archiving: Archiving,
    kinds: frozenset[EntryKind],
    *,
    is_deleted: bool,
) -> None:
    first, second, third = await record(ledger, 3, 2, 2)
    assert await archiving.cut(second.revision) == second
    if is_deleted:
        await archiving.delete()

    for after in (START, first, Position(4, second.mark), Position(1, "0" * 16)):
        with pytest.raises(HistoryArchivedError) as caught:
            await store.read_page("main", after, frozenset(kinds), 10)
        assert caught.value.position == second
    assert [entry.revision for page in await read_all(store, second) for entry in page.entries] == [6, 7, 8]
    assert (await store.read_page("main", third, ALL_KINDS, 10)).entries[0].kind is EntryKind.ARCHIVED
    assert (await store.read_page("main", START, frozenset(), 10)).upto == await ledger.read_head("main")
    with pytest.raises(PositionUnknownError):
        await store.read_page("main", Position(5, "0" * 16), ALL_KINDS, 10)
