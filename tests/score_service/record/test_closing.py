"""How a period becomes final, on a real PostgreSQL: frozen, archived, entered into the ledger, and let go."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg.rows import dict_row
from tests.fixtures.ledgers.periods import (
    DAY,
    DAYS_AND_WEEKS,
    GRACE,
    HOUR,
    MONDAY,
    LedgerClock,
    archive_and_close,
    day,
    make_schedule,
    save_settings,
    season,
    week,
    written,
)
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import make_award

from score_service.closing.archiver import Archiver
from score_service.domain.board.period import PeriodKind
from score_service.domain.ledger.changes import Changes
from score_service.domain.standings.standing import Source, Standing
from score_service.errors import BoardNotFoundError, InvalidRequestError
from score_service.record.boards import BoardStore
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore, RemovedPage
from score_service.record.results import Results
from score_service.record.standings import Standings

MONDAY_ID = day().period_id
FINAL_AT = day().final_at
RESULT = [Standing("bob", 9, 1, 3), Standing("cyd", 9, 2, 5), Standing("ada", 7, 3, 4)]
"""Of the Monday, as `play` leaves it."""
LINES = b"1\tbob\t9\t3\n2\tcyd\t9\t5\n3\tada\t7\t4\n"
DIGEST = hashlib.sha256(LINES).digest()


@pytest.fixture(autouse=True)
async def _monday(ledger: Ledger, board_store: BoardStore, ledger_clock: LedgerClock) -> None:
    """Have a board with a Monday that three users have points in, at noon."""
    await save_settings(board_store)
    for user, points in (("ada", 3), ("bob", 9), ("ada", 4), ("cyd", 9)):
        await ledger.record_awards("main", [make_award(user, points)], DAYS_AND_WEEKS)


async def archive(periods: PeriodStore, limit: int = 2) -> AsyncIterator[bytes]:
    after = 0
    while (page := await periods.archive_page("main", MONDAY_ID, after, limit)) and page.lines:
        after = page.last_rank
        yield page.lines


async def close(periods: PeriodStore, limit: int = 2) -> Changes | None:
    """Take all steps up to the entry."""
    await periods.freeze_periods("main")
    return await archive_and_close(periods, MONDAY_ID, limit=limit)


async def test_period_that_is_due_is_frozen_by_the_next_award(
    ledger: Ledger, periods: PeriodStore, ledger_clock: LedgerClock
) -> None:
    ledger_clock.set(FINAL_AT)
    batch = written(await ledger.record_awards("main", [make_award("dan")], DAYS_AND_WEEKS))

    stored = await periods.find("main", MONDAY_ID)
    assert stored is not None
    assert stored.closed_revision == batch.changes.before.revision == 5
    assert not stored.is_final
    assert [line async for line in archive(periods)] == [LINES[:20], LINES[20:]]


async def test_period_is_not_frozen_before_it_is_final(
    periods: PeriodStore, ledger_clock: LedgerClock
) -> None:
    ledger_clock.set(FINAL_AT - GRACE / 2)
    await periods.freeze_periods("main")

    assert await periods.list_due(5) == []
    assert [line async for line in archive(periods)] == []
    assert await close(periods) is None
    assert await periods.count_unfinished() == 2


async def test_season_is_final_after_its_review(
    ledger: Ledger, periods: PeriodStore, ledger_clock: LedgerClock
) -> None:
    spring = season("spring", MONDAY, MONDAY + DAY)
    await ledger.record_awards("main", [make_award()], make_schedule(spring))
    ledger_clock.set(spring.closes_at)
    late = written(await ledger.record_awards("main", [make_award()], make_schedule(spring)))
    due = {due.stored.period.period_id for due in await periods.list_due(5)}
    ledger_clock.set(spring.final_at)

    assert "season:spring" not in late.changes.periods
    assert due == {MONDAY_ID}
    assert {due.stored.period.period_id for due in await periods.list_due(5)} == {MONDAY_ID, "season:spring"}


async def test_due_periods_are_listed_with_the_time_since(
    ledger: Ledger, board_store: BoardStore, periods: PeriodStore, ledger_clock: LedgerClock
) -> None:
    await save_settings(board_store, "other")
    await ledger.record_awards("other", [make_award(board_id="other")], DAYS_AND_WEEKS)
    ledger_clock.set(FINAL_AT + HOUR)

    due = await periods.list_due(5)

    assert [(d.board_id, d.stored.period, d.due_seconds) for d in due] == [
        ("main", day(), 3600),
        ("other", day(), 3600),
    ]
    assert len(await periods.list_due(1)) == 1
    assert await periods.count_unfinished() == 4


async def test_close_is_an_entry_of_the_ledger_with_count_and_digest(
    ledger: Ledger, periods: PeriodStore, ledger_clock: LedgerClock, database: Database
) -> None:
    before = await ledger.read_head("main")
    ledger_clock.set(FINAL_AT)

    changes = await close(periods)

    assert changes is not None
    assert (changes.before, changes.finished) == (before, (MONDAY_ID,))
    assert changes == await ledger.read_changes("main", before)
    assert await ledger.read_head("main") == changes.after
    stored = await periods.find_last_final("main", PeriodKind.DAY)
    assert stored is not None
    assert (stored.entrants, stored.digest, stored.closed_revision, stored.entry_revision) == (
        3,
        DIGEST,
        5,
        6,
    )
    assert await periods.find_last_final("main", PeriodKind.WEEK) is None
    with psycopg.connect(database.admin_dsn, row_factory=dict_row) as connection:
        row = connection.execute("SELECT * FROM score.entry WHERE revision = 6").fetchone()
    assert row is not None
    assert (row["kind"], row["actor"], row["request_id"], row["trace_id"]) == (
        "period_closed",
        "closer",
        None,
        "",
    )
    start = int(MONDAY.timestamp()) * 1_000_000
    assert row["body"] == (
        f'{{"closed_revision":5,"closes_at":{start + 87_000_000_000},"digest":"{DIGEST.hex()}",'
        f'"ends_at":{start + 86_400_000_000},"entrants":3,"final_at":{start + 87_000_000_000},"kind":"day",'
        f'"period_id":"{MONDAY_ID}","starts_at":{start},"time_zone":"UTC","zone_data":"2026f"}}'
    )


async def test_changes_of_a_period_that_became_final_in_between_are_left_out(
    ledger: Ledger, periods: PeriodStore, ledger_clock: LedgerClock
) -> None:
    batch = written(await ledger.record_awards("main", [make_award("eve")], DAYS_AND_WEEKS))
    before = batch.changes.before
    ledger_clock.set(FINAL_AT)
    half = await ledger.read_head("main")
    closed = await close(periods)
    assert closed is not None

    until = await ledger.read_changes("main", before, half.revision)
    whole = await ledger.read_changes("main", before)

    assert until is not None
    assert whole is not None
    assert (set(until.periods), until.finished) == ({MONDAY_ID, week().period_id}, ())
    assert (set(whole.periods), whole.finished) == ({week().period_id}, (MONDAY_ID,))
    assert (whole.changes, whole.after) == (until.changes, closed.after)


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
async def test_digest_does_not_depend_on_the_size_of_the_pages(
    periods: PeriodStore, ledger_clock: LedgerClock, limit: int
) -> None:
    ledger_clock.set(FINAL_AT)
    await close(periods, limit)

    stored = await periods.find("main", MONDAY_ID)
    assert stored is not None
    assert (stored.entrants, stored.digest) == (3, DIGEST)


async def test_archive_goes_on_where_it_was_interrupted_also_in_pages_of_another_size(
    periods: PeriodStore, ledger_clock: LedgerClock
) -> None:
    ledger_clock.set(FINAL_AT)
    await periods.freeze_periods("main")
    assert await anext(archive(periods, 2)) == LINES[:20]

    assert b"".join([lines async for lines in archive(periods, 3)]) == LINES
    assert b"".join([lines async for lines in archive(periods, 1)]) == LINES


async def test_everything_at_once_closes_a_period_once(
    ledger: Ledger, periods: PeriodStore, ledger_clock: LedgerClock, database: Database
) -> None:
    """Any number of processes take every step at the same time, while awards go on."""
    ledger_clock.set(FINAL_AT)

    async def award() -> None:
        for _ in range(10):
            await ledger.record_awards("main", [make_award("dan")], DAYS_AND_WEEKS)

    closes, _ = await asyncio.gather(
        asyncio.gather(*(close(periods, limit) for limit in (1, 2, 3, 1, 2, 3))), award()
    )

    assert [changes.finished for changes in closes if changes] == [(MONDAY_ID,)]
    stored = await periods.find("main", MONDAY_ID)
    assert stored is not None
    assert (stored.entrants, stored.digest) == (3, DIGEST)
    with psycopg.connect(database.admin_dsn) as connection:
        entries = connection.execute(
            "SELECT count(*) FROM score.entry WHERE kind = 'period_closed'"
        ).fetchone()
        revisions = connection.execute(
            "SELECT revision FROM score.award UNION ALL SELECT revision FROM score.entry ORDER BY 1"
        ).fetchall()
    assert entries == (1,)
    assert [revision for (revision,) in revisions] == list(range(1, 17))


async def test_period_that_is_not_archived_to_the_end_is_not_closed(
    ledger: Ledger, periods: PeriodStore, ledger_clock: LedgerClock, database: Database
) -> None:
    ledger_clock.set(FINAL_AT)
    await periods.freeze_periods("main")
    page = await periods.archive_page("main", MONDAY_ID, 0, 2)
    assert page is not None
    head = await ledger.read_head("main")

    whole = ("main", MONDAY_ID, 3, DIGEST, page.frozen_digest, "closer")
    assert await periods.close_period(*whole) is None
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM score.period_result")
    assert await periods.close_period(*whole) is None
    assert await ledger.read_head("main") == head


async def test_period_that_was_frozen_in_another_history_is_not_closed(
    ledger: Ledger, periods: PeriodStore, ledger_clock: LedgerClock
) -> None:
    ledger_clock.set(FINAL_AT)
    await periods.freeze_periods("main")
    archive = await Archiver(periods).archive("main", MONDAY_ID)
    assert (archive.entrants, archive.digest) == (3, DIGEST)
    head = await ledger.read_head("main")

    assert await periods.close_period("main", MONDAY_ID, 3, DIGEST, bytes(32), "closer") is None
    assert await ledger.read_head("main") == head
    assert await periods.close_period("main", MONDAY_ID, 3, DIGEST, archive.frozen_digest, "closer")


async def test_clock_that_jumps_back_opens_no_period_again(
    ledger: Ledger, periods: PeriodStore, ledger_clock: LedgerClock
) -> None:
    ledger_clock.set(FINAL_AT)
    await periods.freeze_periods("main")
    ledger_clock.set(MONDAY + HOUR)

    batch = written(await ledger.record_awards("main", [make_award("dan")], DAYS_AND_WEEKS))

    assert set(batch.changes.periods) == {week().period_id}
    ledger_clock.set(FINAL_AT)
    await close(periods)
    stored = await periods.find("main", MONDAY_ID)
    assert stored is not None
    assert stored.digest == DIGEST


async def test_final_period_has_no_standings_but_a_result(
    ledger: Ledger, periods: PeriodStore, ledger_clock: LedgerClock, standings: Standings, results: Results
) -> None:
    ledger_clock.set(FINAL_AT)
    with pytest.raises(BoardNotFoundError):
        await results.get_standings("main", ["ada"], MONDAY_ID)
    await periods.freeze_periods("main")
    assert (await standings.list_standings("main", 5, period_id=MONDAY_ID)).top == tuple(RESULT)
    await close(periods)
    head = await ledger.read_head("main")

    assert await standings.read_page("main", "", 5, MONDAY_ID) is None
    assert (await standings.count_page("main", "", 5, MONDAY_ID)).members == 0
    for reading in (
        await standings.list_standings("main", 5, period_id=MONDAY_ID),
        await standings.list_standings_around("main", "ada", 5, MONDAY_ID),
        await standings.get_standings("main", ["ada"], MONDAY_ID),
    ):
        assert (reading.top, reading.users) == ((), ())
    reading = await results.list_standings("main", 2, "", MONDAY_ID)
    assert (reading.position, reading.source, reading.entrants) == (head, Source.RECORD, 3)
    assert list(reading.top) == RESULT[:2]
    rest = await results.list_standings("main", 2, reading.next_page_token, MONDAY_ID)
    assert (list(rest.top), rest.next_page_token) == (RESULT[2:], "")
    found = await results.get_standings("main", ["ada", "dan", "bob"], MONDAY_ID)
    assert list(found.users) == [RESULT[2], RESULT[0]]
    assert (await results.get_standings("main", ["dan"], MONDAY_ID)).users == ()
    assert list((await results.list_standings_around("main", "ada", 1, MONDAY_ID)).top) == RESULT[1:]
    assert list((await results.list_standings_around("main", "bob", 0, MONDAY_ID)).top) == RESULT[:1]
    assert (await results.list_standings_around("main", "dan", 1, MONDAY_ID)).top == ()
    with pytest.raises(InvalidRequestError):
        await results.list_standings("main", 2, "mine", MONDAY_ID)
    with pytest.raises(BoardNotFoundError):
        await results.list_standings("main", 2, "", week().period_id)


async def test_standings_of_a_final_period_are_let_go_and_no_others(
    periods: PeriodStore, ledger_clock: LedgerClock, database: Database, results: Results
) -> None:
    ledger_clock.set(FINAL_AT)
    await periods.freeze_periods("main")
    assert await periods.forget_standings("main", MONDAY_ID, "", 9) is None
    await close(periods)
    assert await periods.forget_standings("main", week().period_id, "", 9) is None
    assert await periods.forget_standings("main", "all_time", "", 9) is None

    (due,) = await periods.list_due(5)
    assert (due.stored.period.period_id, due.stored.is_final) == (MONDAY_ID, True)
    assert await periods.forget_standings("main", MONDAY_ID, "", 2) == RemovedPage(2, "bob")
    assert len(await periods.list_due(5)) == 1
    assert await periods.forget_standings("main", MONDAY_ID, "bob", 2) == RemovedPage(1, "cyd")
    assert await periods.list_due(5) == []
    assert await periods.forget_standings("main", MONDAY_ID, "cyd", 2) is None

    with psycopg.connect(database.admin_dsn) as connection:
        left = connection.execute(
            "SELECT period, count(*) FROM score.standing GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert left == [("all_time", 3), (week().period_id, 3)]
    assert list((await results.list_standings("main", 5, "", MONDAY_ID)).top) == RESULT
    # A process that was slow finds nothing to archive, and changes nothing.
    assert await periods.archive_page("main", MONDAY_ID, 0, 5) is None


async def test_results_but_the_newest_keep_their_top(
    ledger: Ledger, periods: PeriodStore, ledger_clock: LedgerClock, results: Results
) -> None:
    users = [f"user{n:04}" for n in range(1010)]
    for number in (1, 2, 3):
        ledger_clock.set(MONDAY + number * DAY + HOUR)
        for part in (users[:600], users[600:]):
            await ledger.record_awards("main", [make_award(user) for user in part], DAYS_AND_WEEKS)
    ledger_clock.set(MONDAY + 5 * DAY)
    await periods.freeze_periods("main")
    for number in (0, 1, 2, 3):
        assert await archive_and_close(periods, day(number).period_id, limit=5000)

    removed = [await periods.prune_results("main", PeriodKind.DAY, 1, 7) for _ in range(5)]

    assert removed == [7, 3, 7, 3, 0]
    truncated = {}
    for stored in await periods.list_periods("main", PeriodKind.DAY, 10):
        top = (await results.list_standings("main", 2000, "", stored.period.period_id)).top
        assert [standing.rank for standing in top] == list(range(1, len(top) + 1))
        truncated[stored.period.period_id] = (stored.is_truncated, len(top), stored.entrants)
    assert truncated == {
        day(3).period_id: (False, 1010, 1010),
        day(2).period_id: (True, 1000, 1010),
        day(1).period_id: (True, 1000, 1010),
        day(0).period_id: (False, 3, 3),
    }
    assert await periods.prune_results("main", PeriodKind.WEEK, 1, 7) == 0


async def test_periods_are_listed_from_the_last_to_end_back(
    ledger: Ledger, periods: PeriodStore, ledger_clock: LedgerClock
) -> None:
    for number in (1, 2):
        ledger_clock.set(MONDAY + number * DAY)
        await ledger.record_awards("main", [make_award()], DAYS_AND_WEEKS)
    expected = [week(), day(2), day(1), day()]

    first = await periods.list_periods("main", None, 3)
    last = first[-1]
    rest = await periods.list_periods("main", None, 3, (last.period.ends_at, last.number))

    assert [stored.period for stored in [*first, *rest]] == expected
    assert [s.period for s in await periods.list_periods("main", PeriodKind.WEEK, 9)] == [week()]
    assert await periods.list_periods("other", None, 9) == []
