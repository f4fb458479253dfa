"""Periods on a real PostgreSQL: settings of boards, and which periods an award counts in."""

import datetime as dt
import random
import uuid
from dataclasses import replace

import psycopg
import pytest
from tests.fixtures.ledgers.periods import (
    DAY,
    DAYS_AND_WEEKS,
    GRACE,
    HOUR,
    MONDAY,
    SETTINGS,
    LedgerClock,
    day,
    make_schedule,
    save_default,
    save_settings,
    season,
    week,
    written,
)
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import make_award

from score_service.domain.board.board_settings import BoardSettings, LatePolicy
from score_service.domain.board.period import ALL_TIME, NO_SCHEDULE, PeriodKind, Schedule
from score_service.domain.ledger.award import MAX_TOTAL, Award, OutOfRange, PeriodClosed, RecordedAward
from score_service.domain.ledger.changes import Change, Changes, read_lines
from score_service.domain.ledger.position import Position
from score_service.periods.settings_json import write_settings
from score_service.record.boards import BoardStore, SettingsDraft
from score_service.record.ledger import Ledger, StaleSchedule
from score_service.record.periods import PeriodStore, StoredSettings
from score_service.record.standings import Standings

NOON = MONDAY + 12 * HOUR
MOMENT = dt.timedelta(microseconds=1)
TEXT = write_settings(SETTINGS)


@pytest.fixture(autouse=True)
def _clock(ledger_clock: LedgerClock) -> None:
    """Have every test begin at noon of the Monday."""


def happened(occurred_at: dt.datetime, user_id: str = "ada", points: int = 10) -> Award:
    return make_award(user_id, points)._replace(occurred_at=occurred_at)


async def counts(ledger: Ledger, schedule: Schedule, *awards: Award) -> list[set[str]]:
    """Record awards one by one, and return the periods that each of them counts in."""
    return [
        set(written(await ledger.record_awards("main", [award], schedule)).changes.periods)
        for award in awards
    ]


async def test_award_counts_in_the_current_period_of_each_kind(
    ledger: Ledger, board_store: BoardStore, periods: PeriodStore, standings: Standings
) -> None:
    await save_settings(board_store)
    await ledger.record_awards("main", [make_award("ada", 3)], DAYS_AND_WEEKS)

    batch = written(
        await ledger.record_awards("main", [make_award("ada", 5), make_award("bob", 2)], DAYS_AND_WEEKS)
    )

    changes = (Change("ada", 8, 3), Change("bob", 2, 4))
    assert batch.changes.changes == changes
    assert {key: set(read_lines(lines)) for key, lines in batch.changes.periods.items()} == {
        day().period_id: set(changes),
        week().period_id: set(changes),
    }
    assert await ledger.read_changes("main", batch.changes.before) == batch.changes
    reading = await standings.list_standings("main", 5, period_id=day().period_id)
    assert [(s.user_id, s.total, s.rank) for s in reading.top] == [("ada", 8, 1), ("bob", 2, 2)]


async def test_award_past_the_greatest_total_counts_in_no_period_and_the_others_of_its_batch_do(
    ledger: Ledger, board_store: BoardStore, database: Database
) -> None:
    await save_settings(board_store)
    await ledger.record_awards("main", [make_award("ada", 3)], DAYS_AND_WEEKS)
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute(
            "UPDATE score.standing SET total = %s WHERE period = %s", (MAX_TOTAL - 10, ALL_TIME)
        )

    batch = written(
        await ledger.record_awards(
            "main", [make_award("ada", 8), make_award("bob", 2), make_award("ada", 5)], DAYS_AND_WEEKS
        )
    )

    assert [type(result) for result in batch.results] == [RecordedAward, RecordedAward, OutOfRange]
    assert batch.changes.changes == (Change("ada", MAX_TOTAL - 2, 3), Change("bob", 2, 4))
    for period_id in (day().period_id, week().period_id):
        assert set(read_lines(batch.changes.periods[period_id])) == {
            Change("ada", 11, 3),
            Change("bob", 2, 4),
        }
    assert await ledger.read_changes("main", batch.changes.before) == batch.changes


async def test_period_is_opened_by_its_first_award(
    ledger: Ledger, board_store: BoardStore, periods: PeriodStore
) -> None:
    await save_settings(board_store)
    assert await periods.list_live("main") == []
    for count in (3, 1):
        await ledger.record_awards("main", [make_award() for _ in range(count)], DAYS_AND_WEEKS)
    await ledger.record_awards("main", [happened(MONDAY - MOMENT)], DAYS_AND_WEEKS)

    live = await periods.list_live("main")

    # The day before was over at midnight, so its last award came twelve hours late.
    assert [(stored.period, stored.number, stored.opened_revision) for stored in live] == [
        (day(), 1, 2),
        (week(), 2, 2),
    ]
    assert await periods.find("main", day().period_id) == live[0]
    assert await periods.find("main", day(1).period_id) is None


async def test_period_holds_its_first_instant_and_not_the_one_after_its_last(
    ledger: Ledger, board_store: BoardStore, ledger_clock: LedgerClock
) -> None:
    await save_settings(board_store)
    ledger_clock.set(MONDAY + DAY)
    day_before, week_now = day().period_id, week().period_id

    counted = await counts(
        ledger,
        DAYS_AND_WEEKS,
        make_award(),
        happened(MONDAY + DAY),
        happened(MONDAY + DAY - MOMENT),
        happened(MONDAY),
        happened(MONDAY - MOMENT),
    )

    assert counted == [
        {day(1).period_id, week_now},
        {day(1).period_id, week_now},
        {day_before, week_now},
        {day_before, week_now},
        # Both are closed: it counts in the current ones.
        {day(1).period_id, week_now},
    ]


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        (LatePolicy.CURRENT, {day(1).period_id, week().period_id}),
        (LatePolicy.ALL_TIME, {week().period_id}),
        (LatePolicy.REFUSE, None),
    ],
)
@pytest.mark.parametrize(("after", "is_late"), [(GRACE - MOMENT, False), (GRACE, True)])
async def test_award_for_a_period_that_has_closed_is_late(
    ledger: Ledger,
    board_store: BoardStore,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
    late: LatePolicy,
    expected: set[str] | None,
    after: dt.timedelta,
    *,
    is_late: bool,
) -> None:
    schedule = replace(DAYS_AND_WEEKS, late=late)
    await save_settings(board_store)
    await ledger.record_awards("main", [make_award()], schedule)
    ledger_clock.set(MONDAY + DAY + after)
    award = happened(MONDAY + DAY - HOUR, "bob")

    batch = written(await ledger.record_awards("main", [award, make_award("cyd")], schedule))

    if not is_late:
        expected = {day().period_id, week().period_id}
    if expected is None:
        assert [type(result) for result in batch.results] == [PeriodClosed, RecordedAward]
        assert await ledger.read_changes("main", batch.changes.before) == batch.changes
    else:
        assert expected == {
            period_id
            for period_id, lines in batch.changes.periods.items()
            if "bob" in {change.user_id for change in read_lines(lines)}
        }


async def test_award_that_was_rejected_stays_so_and_one_that_was_made_before_stays_made(
    ledger: Ledger, board_store: BoardStore, ledger_clock: LedgerClock
) -> None:
    await save_settings(board_store)
    schedule = replace(DAYS_AND_WEEKS, late=LatePolicy.REFUSE)
    made, rejected = happened(NOON), happened(NOON)
    first = written(await ledger.record_awards("main", [made], schedule))
    ledger_clock.set(MONDAY + 2 * DAY)

    batches = [written(await ledger.record_awards("main", [made, rejected], schedule)) for _ in range(2)]

    assert batches[0].results == batches[1].results == (first.results[0], PeriodClosed())
    assert await ledger.read_head("main") == first.changes.after


async def test_award_in_a_gap_between_seasons_counts_in_none(
    ledger: Ledger, board_store: BoardStore, ledger_clock: LedgerClock
) -> None:
    await save_settings(board_store)
    spring = season("spring", MONDAY, MONDAY + DAY)
    autumn = season("autumn", MONDAY + 3 * DAY, MONDAY + 4 * DAY)
    schedule = make_schedule(spring, autumn)

    counted = await counts(ledger, schedule, make_award("ada"))
    ledger_clock.set(MONDAY + 2 * DAY)
    counted += await counts(ledger, schedule, make_award("bob"), happened(NOON, "cyd"))
    ledger_clock.set(MONDAY + 3 * DAY)
    counted += await counts(ledger, schedule, happened(MONDAY + 2 * DAY, "dan"), happened(NOON, "eve"))

    assert counted == [{"season:spring"}, set(), set(), set(), {"season:autumn"}]


@pytest.mark.parametrize("late", LatePolicy)
async def test_gap_is_no_closed_period(
    ledger: Ledger, board_store: BoardStore, periods: PeriodStore, ledger_clock: LedgerClock, late: LatePolicy
) -> None:
    await save_settings(board_store)
    ledger_clock.set(MONDAY + 2 * DAY)
    schedule = make_schedule(season("spring", MONDAY, MONDAY + DAY), late=late)

    batch = written(await ledger.record_awards("main", [happened(MONDAY + DAY)], schedule))

    assert [type(result) for result in batch.results] == [RecordedAward]
    assert batch.changes.periods == {}


async def test_membership_is_fixed_at_the_first_write(
    ledger: Ledger, board_store: BoardStore, ledger_clock: LedgerClock, standings: Standings
) -> None:
    await save_settings(board_store)
    award = make_award("ada", 3)
    first = written(await ledger.record_awards("main", [award], DAYS_AND_WEEKS))
    ledger_clock.set(MONDAY + 5 * DAY)

    again = written(await ledger.record_awards("main", [award, make_award("bob", 9)], DAYS_AND_WEEKS))

    assert again.results[0] == first.results[0]
    reading = await standings.list_standings("main", 5, period_id=day().period_id)
    assert [(s.user_id, s.total) for s in reading.top] == [("ada", 3)]


async def test_two_callers_whose_clocks_differ_agree_on_the_period(
    ledger: Ledger, board_store: BoardStore, ledger_clock: LedgerClock
) -> None:
    """What counts is the ledger's time, and a schedule that does not hold it is rejected."""
    await save_settings(board_store)
    midnight = MONDAY + DAY
    slow, fast = (
        replace(
            make_schedule(day(), day(1), week()),
            valid_from=midnight + skew - HOUR,
            valid_until=midnight + skew + HOUR,
        )
        for skew in (dt.timedelta(seconds=-45), dt.timedelta(seconds=45))
    )
    counted = []
    for now in (midnight - MOMENT, midnight):
        ledger_clock.set(now)
        for schedule in (slow, fast):
            counted += await counts(ledger, schedule, make_award())
    ledger_clock.set(midnight + HOUR - dt.timedelta(seconds=45))
    stale = await ledger.record_awards("main", [make_award()], slow)

    assert counted == [{day().period_id, week().period_id}] * 2 + [{day(1).period_id, week().period_id}] * 2
    assert stale == StaleSchedule(1, midnight + HOUR - dt.timedelta(seconds=45))
    assert await counts(ledger, fast, make_award()) == [{day(1).period_id, week().period_id}]


async def test_stale_schedule_writes_nothing(
    ledger: Ledger, board_store: BoardStore, database: Database
) -> None:
    head = (await save_settings(board_store)).after

    for schedule in (
        replace(DAYS_AND_WEEKS, settings_revision=2),
        NO_SCHEDULE,
        replace(DAYS_AND_WEEKS, valid_until=NOON),
        replace(DAYS_AND_WEEKS, valid_from=NOON + MOMENT),
    ):
        assert await ledger.record_awards("main", [make_award()], schedule) == StaleSchedule(1, NOON)
    with pytest.raises(ValueError, match="main has settings"):
        await ledger.record_awards("main", [make_award()])

    assert await ledger.read_head("main") == head
    assert await ledger.record_awards("new", [make_award()], DAYS_AND_WEEKS) == StaleSchedule(0, NOON)
    with psycopg.connect(database.admin_dsn) as connection:
        assert connection.execute("SELECT board_id FROM score.board").fetchall() == [("main",)]


async def test_ledger_time_never_steps_back(
    ledger: Ledger, board_store: BoardStore, ledger_clock: LedgerClock, database: Database
) -> None:
    await save_settings(board_store)
    ledger_clock.set(MONDAY + DAY)
    await ledger.record_awards("main", [make_award()], DAYS_AND_WEEKS)
    ledger_clock.set(MONDAY)

    assert await counts(ledger, DAYS_AND_WEEKS, make_award()) == [{day(1).period_id, week().period_id}]
    with psycopg.connect(database.admin_dsn) as connection:
        times = connection.execute("SELECT DISTINCT awarded_at FROM score.award").fetchall()
    assert times == [(MONDAY + DAY,)]


async def test_board_made_by_its_first_award_takes_the_default(
    ledger: Ledger, board_store: BoardStore, periods: PeriodStore
) -> None:
    assert await periods.find_settings("main") is None
    await save_default(board_store, BoardSettings())
    await save_default(board_store)
    assert await periods.find_settings("main") == StoredSettings(-2, TEXT)
    for revision in (0, -1, 1):
        schedule = replace(DAYS_AND_WEEKS, settings_revision=revision)
        assert await ledger.record_awards("main", [make_award()], schedule) == StaleSchedule(-2, NOON)

    schedule = replace(DAYS_AND_WEEKS, settings_revision=-2)
    batch = written(await ledger.record_awards("main", [make_award("ada", 4)], schedule))

    assert batch.changes.before == Position.start("main")
    assert batch.changes.changes == (Change("ada", 4, 2),)
    assert set(batch.changes.periods) == {day().period_id, week().period_id}
    assert await periods.find_settings("main") == StoredSettings(1, TEXT)
    assert await ledger.record_awards("main", [make_award()], schedule) == StaleSchedule(1, NOON)
    assert await ledger.read_changes("main", Position.start("main")) == batch.changes


async def test_largest_first_batch_of_a_board_is_read_in_one_step(
    ledger: Ledger, board_store: BoardStore
) -> None:
    await save_default(board_store)
    schedule = replace(DAYS_AND_WEEKS, settings_revision=-1)

    batch = written(await ledger.record_awards("main", [make_award() for _ in range(1000)], schedule))

    assert await ledger.read_changes("main", Position.start("main")) == batch.changes


async def test_settings_are_entries_of_the_ledger(
    ledger: Ledger, board_store: BoardStore, periods: PeriodStore, database: Database
) -> None:
    await ledger.record_awards("main", [make_award("ada", 4)])
    assert await periods.find_settings("main") is None
    before = await ledger.read_head("main")
    call = {"actor": "spiffe://test.local/operator", "request_id": str(uuid.uuid4()), "trace_id": "ab"}
    none, some = SettingsDraft("main", BoardSettings(), 0, 0), SettingsDraft("main", SETTINGS, 2, 0)
    assert await board_store.apply_settings([none], None, **call)
    assert not await board_store.apply_settings([replace(some, settings_revision=0)], None, **call)
    assert await board_store.apply_settings([some], None, **call)

    assert await periods.find_settings("main") == StoredSettings(3, TEXT)
    after = await ledger.read_head("main")
    assert after.revision == 3
    assert await ledger.read_changes("main", before) == Changes("main", before, after, ())
    with psycopg.connect(database.admin_dsn) as connection:
        rows = connection.execute(
            "SELECT revision, kind, actor, request_id::text, trace_id, entered_at, body FROM score.entry"
        ).fetchall()
    bodies = (write_settings(BoardSettings()), TEXT)
    assert rows == [(n, "settings", *call.values(), NOON, body) for n, body in enumerate(bodies, start=2)]


async def test_newcomers_of_a_period_are_listed_at_their_first_award_in_it(
    ledger: Ledger, board_store: BoardStore, ledger_clock: LedgerClock
) -> None:
    await save_settings(board_store)
    await ledger.record_awards("main", [make_award("ada"), make_award("bob")], DAYS_AND_WEEKS)
    ledger_clock.set(NOON + DAY)
    await ledger.record_awards("main", [make_award(u) for u in ("bob", "bob", "cyd")], DAYS_AND_WEEKS)

    assert await ledger.list_newcomers("main", 0, 9) == [(2, "ada"), (3, "bob"), (6, "cyd")]
    assert await ledger.list_newcomers("main", 0, 9, day(1).period_id) == [(4, "bob"), (6, "cyd")]
    assert await ledger.list_newcomers("main", 4, 9, day(1).period_id) == [(6, "cyd")]
    assert await ledger.list_newcomers("main", 0, 9, day(2).period_id) == []


async def test_new_zone_data_moves_only_what_is_not_open_yet(
    ledger: Ledger, board_store: BoardStore, periods: PeriodStore, ledger_clock: LedgerClock
) -> None:
    """The boundary after the Monday was at midnight, and is an hour later by the new data."""
    await save_settings(board_store)
    await ledger.record_awards("main", [make_award()], make_schedule(day(), week()))
    later = [
        replace(
            period,
            starts_at=period.starts_at + HOUR,
            ends_at=period.ends_at + HOUR,
            closes_at=period.closes_at + HOUR,
            final_at=period.final_at + HOUR,
            zone_data="2026g",
        )
        for period in (day(0), day(1), day(2))
    ]
    ledger_clock.set(MONDAY + DAY)

    counted = await counts(ledger, make_schedule(*later), make_award())

    assert counted == [{day(1).period_id, week().period_id}]
    stored = await periods.find("main", day(1).period_id)
    assert stored is not None
    assert stored.period == replace(later[1], starts_at=MONDAY + DAY)  # There is no gap.
    first = await periods.find("main", day().period_id)
    assert first is not None
    assert first.period == day()


async def test_boundary_that_moves_back_leaves_no_overlap(
    ledger: Ledger, board_store: BoardStore, periods: PeriodStore, ledger_clock: LedgerClock
) -> None:
    await save_settings(board_store)
    await ledger.record_awards("main", [make_award()], make_schedule(day(), week()))
    earlier = replace(day(1), starts_at=day(1).starts_at - HOUR, zone_data="2026g")
    ledger_clock.set(MONDAY + DAY - HOUR)

    counted = await counts(ledger, make_schedule(earlier), make_award())
    ledger_clock.set(MONDAY + DAY)
    counted += await counts(ledger, make_schedule(earlier), make_award())

    assert counted == [{p.period_id, week().period_id} for p in (day(), day(1))]
    stored = await periods.find("main", day(1).period_id)
    assert stored is not None
    assert stored.period == replace(earlier, starts_at=MONDAY + DAY)


async def test_standings_of_all_periods_are_a_plain_fold_of_the_awards(
    ledger: Ledger,
    board_store: BoardStore,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
    standings: Standings,
) -> None:
    """Many batches over two weeks, with awards that happened before."""
    await save_settings(board_store)
    draw = random.Random(5)
    folds: dict[str, dict[str, tuple[int, int]]] = {}
    now, revision = NOON, 1

    def count(period_id: str, award: Award) -> None:
        fold = folds.setdefault(period_id, {})
        total = fold.get(award.user_id, (0, 0))[0]
        fold[award.user_id] = (total + award.points, revision)

    for _ in range(40):
        now += draw.choice((HOUR, 7 * HOUR, GRACE / 2))
        ledger_clock.set(now)
        awards = [make_award(f"user{draw.randrange(9)}", draw.randint(1, 9)) for _ in range(12)]
        if draw.random() < 0.7:
            awards = [
                award._replace(occurred_at=draw.choice((None, now - draw.random() * 30 * HOUR)))
                for award in awards
            ]
        await ledger.record_awards("main", awards, DAYS_AND_WEEKS)
        for award in awards:
            revision += 1
            count(ALL_TIME, award)
            for kind in (PeriodKind.DAY, PeriodKind.WEEK):
                held = {
                    at: next(p for p in DAYS_AND_WEEKS.periods if p.kind is kind and p.holds(at))
                    for at in (award.occurred_at or now, now)
                }
                period = held[award.occurred_at or now]
                count((period if now < period.closes_at else held[now]).period_id, award)

    for period_id, fold in folds.items():
        found = {}
        for user_id in fold:
            (standing,) = (await standings.get_standings("main", [user_id], period_id)).users
            found[user_id] = (standing.total, standing.reached_revision)
        assert found == fold, period_id
    assert {stored.period.period_id for stored in await periods.list_live("main")} == set(folds) - {ALL_TIME}
    changes = await ledger.read_changes("main", Position.start("main"))
    assert changes is not None
    assert {
        period_id: {change.user_id: change[1:3] for change in read_lines(changes.lines(period_id))}
        for period_id in (ALL_TIME, *changes.periods)
    } == folds


@pytest.mark.parametrize("function", ["bigint", "integer"])
async def test_server_of_the_version_before_fails_where_a_board_has_settings(
    board_store: BoardStore, database: Database, function: str
) -> None:
    await save_settings(board_store)
    record = (
        "SELECT 1 FROM score.record_awards(%s, %s, '{ada}', '{2}'::"
        + function
        + "[], '{puzzle}', '{puzzle_2}', %s, '{spiffe://test.local/old}', '{\"\"}')"
    )
    with psycopg.connect(database.score_runtime_dsn, autocommit=True) as connection:
        ids = ([uuid.uuid4()], [uuid.uuid4()])
        with pytest.raises(psycopg.errors.UndefinedFunction):  # Which it takes for a database not migrated.
            connection.execute(record.encode(), ("main", *ids))
        connection.execute(record.encode(), ("other", *ids))
        await save_default(board_store)
        connection.execute(record.encode(), ("other", *ids))
        with pytest.raises(psycopg.errors.UndefinedFunction):
            connection.execute(record.encode(), ("another", *ids))
        boards = connection.execute("SELECT board_id, revision FROM score.board ORDER BY 1").fetchall()
    assert boards == [("main", 1), ("other", 1)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE score.entry SET body = ''",
        "DELETE FROM score.entry",
        "UPDATE score.default_settings SET settings = ''",
        "DELETE FROM score.default_settings",
        "UPDATE score.period SET ends_at = ends_at",
        "UPDATE score.period SET period_id = period_id",
        "UPDATE score.period SET is_truncated = true",
        "DELETE FROM score.period",
        "UPDATE score.period_result SET total = 1",
        "DELETE FROM score.period_result",
        "TRUNCATE score.entry",
        "CREATE OR REPLACE FUNCTION score.ledger_clock() RETURNS timestamptz LANGUAGE sql RETURN now()",
    ],
)
async def test_runtime_role_may_not(board_store: BoardStore, database: Database, statement: str) -> None:
    await save_settings(board_store)
    with (
        psycopg.connect(database.score_runtime_dsn) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement.encode())
