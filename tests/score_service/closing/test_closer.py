"""Closing periods over real stores: once, by any process, and after an interruption at any step."""

import asyncio
import hashlib
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from tests.fixtures.ledgers.periods import (
    DAY,
    DAYS_AND_WEEKS,
    HOUR,
    MONDAY,
    SETTINGS,
    LedgerClock,
    day,
    save_settings,
    week,
)
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import NO_RETRIES, eventually, make_award

from score_service.closing.archiver import Archiver
from score_service.closing.closer import Closer
from score_service.closing.loop import ClosingLoop
from score_service.domain.board.period import StoredPeriod
from score_service.errors import ProjectionUnavailableError, RecordUnavailableError
from score_service.operations.verifier import Verifier
from score_service.projection.projection import Projection
from score_service.reconcile.projector import Projector
from score_service.record.boards import BoardStore
from score_service.record.database import Database as Record
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.results import Results
from score_service.record.standings import Standings

MONDAY_ID = day().period_id
STEPS = ("freeze_periods", "archive_page", "close_period", "forget_standings")


@pytest.fixture(autouse=True)
async def _monday(ledger: Ledger, board_store: BoardStore, ledger_clock: LedgerClock) -> None:
    """Have a Monday that seven users have points in, and the time at which it is due."""
    await save_settings(board_store)
    await ledger.record_awards("main", [make_award(f"user{n}", n % 3 + 1) for n in range(7)], DAYS_AND_WEEKS)
    ledger_clock.set(day().final_at)


@pytest.fixture
def closer(board_store: BoardStore, periods: PeriodStore, projector: Projector) -> Closer:
    return make_closer(board_store, periods, projector)


@pytest.fixture
def loop(periods: PeriodStore, closer: Closer) -> ClosingLoop:
    return ClosingLoop(periods, closer, shuffle=random.shuffle)


def make_closer(boards: BoardStore, periods: PeriodStore, projector: Projector) -> Closer:
    return Closer(boards, periods, Archiver(periods, page=2), projector)


async def due(periods: PeriodStore) -> StoredPeriod:
    (one,) = await periods.list_due(5)
    return one.stored


async def assert_closed_once(
    periods: PeriodStore, results: Results, record: Record, database: Database
) -> None:
    """Check that the Monday is final, archived whole, entered once, and let go of."""
    stored = await periods.find("main", MONDAY_ID)
    assert stored is not None
    top = (await results.list_standings("main", 50, "", MONDAY_ID)).top
    lines = "".join(f"{s.rank}\t{s.user_id}\t{s.total}\t{s.reached_revision}\n" for s in top)
    assert (stored.entrants, stored.digest) == (7, hashlib.sha256(lines.encode()).digest())
    assert await periods.list_due(5) == []
    with psycopg.connect(database.admin_dsn) as connection:
        entries = connection.execute(
            "SELECT count(*) FROM score.entry WHERE kind = 'period_closed'"
        ).fetchall()
        left = connection.execute("SELECT DISTINCT period FROM score.standing ORDER BY 1").fetchall()
    assert entries == [(1,)]
    assert left == [("all_time",), (week().period_id,)]
    verified = await Verifier(record, Standings(record), NO_RETRIES).verify_board("main")
    assert verified.findings.kept == []


class Interrupted(PeriodStore):
    """A store whose process ends before or after some step."""

    def __init__(self, record: Record, left: int, *, is_after: bool) -> None:
        super().__init__(record)
        self._left = left
        for step in STEPS:
            setattr(self, step, self._interrupted(getattr(self, step), is_after=is_after))

    def _interrupted(
        self, step: Callable[..., Awaitable[Any]], *, is_after: bool
    ) -> Callable[..., Awaitable[Any]]:
        async def run(*arguments: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not is_after:
                raise RecordUnavailableError
            answer = await step(*arguments)
            if self._left == 0:
                raise RecordUnavailableError
            return answer

        return run


async def test_period_that_is_due_is_made_final(
    closer: Closer,
    periods: PeriodStore,
    results: Results,
    record: Record,
    database: Database,
    projection: Projection,
    ledger: Ledger,
) -> None:
    await closer.finish("main", await due(periods))

    await assert_closed_once(periods, results, record, database)
    assert closer.closed == 1
    header = await projection.read_header("main")
    assert header is not None
    assert header.is_at(await ledger.read_head("main"))


@pytest.mark.parametrize("is_after", [False, True])
async def test_close_that_was_interrupted_anywhere_is_finished_by_two_others(
    board_store: BoardStore,
    periods: PeriodStore,
    projector: Projector,
    results: Results,
    record: Record,
    database: Database,
    *,
    is_after: bool,
) -> None:
    """The first process ends at each step in turn, on what the ones before have left."""
    interruptions = 0
    for left in (1, 2, 3, 4, 5, 6, 7, 8):
        stored = [one.stored for one in await periods.list_due(5)]
        if not stored:
            break
        store = Interrupted(record, left, is_after=is_after)
        try:
            await make_closer(board_store, store, projector).finish("main", stored[0])
        except RecordUnavailableError:
            interruptions += 1
    assert interruptions >= 6
    others = [make_closer(board_store, PeriodStore(record), projector) for _ in range(2)]
    stored = [one.stored for one in await periods.list_due(5)]
    await asyncio.gather(*(other.finish("main", one) for other in others for one in stored))

    await assert_closed_once(periods, results, record, database)


async def test_many_processes_close_a_period_once_while_awards_go_on(
    board_store: BoardStore,
    periods: PeriodStore,
    projector: Projector,
    results: Results,
    record: Record,
    database: Database,
    ledger: Ledger,
) -> None:
    stored = await due(periods)
    closers = [make_closer(board_store, PeriodStore(record), projector) for _ in range(4)]

    async def award() -> None:
        for n in range(20):
            await ledger.record_awards("main", [make_award(f"user{n}")], DAYS_AND_WEEKS)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(award())
        for closer in closers:
            tasks.create_task(closer.finish("main", stored))

    assert sum(closer.closed for closer in closers) == 1
    final = await periods.find("main", MONDAY_ID)
    assert final is not None
    assert final.is_final
    verified = await Verifier(record, Standings(record), NO_RETRIES).verify_board("main")
    assert verified.findings.kept == []


async def test_redis_that_is_unavailable_does_not_hold_up_a_close(
    board_store: BoardStore,
    periods: PeriodStore,
    projector: Projector,
    results: Results,
    record: Record,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(_changes: object) -> None:
        raise ProjectionUnavailableError

    monkeypatch.setattr(projector, "project", fail)

    await make_closer(board_store, periods, projector).finish("main", await due(periods))

    await assert_closed_once(periods, results, record, database)


async def test_results_that_are_not_kept_are_cut_as_the_settings_say(
    ledger: Ledger,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
    board_store: BoardStore,
    projector: Projector,
    results: Results,
) -> None:
    saved = await save_settings(board_store, settings=replace(SETTINGS, keep=1))
    schedule = replace(DAYS_AND_WEEKS, settings_revision=saved.after.revision)
    for number in (1, 2):
        ledger_clock.set(MONDAY + number * DAY + HOUR)
        for part in range(2):
            awards = [make_award(f"user{part}-{n}") for n in range(501)]
            await ledger.record_awards("main", awards, schedule)
    ledger_clock.set(MONDAY + 4 * DAY)
    closer = Closer(board_store, periods, Archiver(periods), projector)

    for one in await periods.list_due(5):
        await closer.finish("main", one.stored)

    kept = {
        stored.period.period_id: (
            stored.is_truncated,
            (await results.list_standings("main", 2000, "", stored.period.period_id)).top[-1].rank,
        )
        for stored in await periods.list_periods("main", day().kind, 9)
    }
    assert kept == {
        day(2).period_id: (False, 1002),
        day(1).period_id: (True, 1000),
        MONDAY_ID: (False, 7),
    }


async def test_loop_closes_what_is_due_and_reports_it(
    loop: ClosingLoop,
    closer: Closer,
    periods: PeriodStore,
    results: Results,
    record: Record,
    database: Database,
    ledger_clock: LedgerClock,
) -> None:
    ledger_clock.set(day().final_at + HOUR)
    await loop.make_round()
    assert (loop.due_seconds, loop.unfinished) == (3600, 2)
    await loop.settle()
    await loop.make_round()

    assert loop.due_seconds == 0
    assert closer.closed == 1
    await assert_closed_once(periods, results, record, database)


async def test_period_that_cannot_be_closed_does_not_keep_others_from_it(
    loop: ClosingLoop,
    closer: Closer,
    ledger: Ledger,
    board_store: BoardStore,
    periods: PeriodStore,
    database: Database,
) -> None:
    await save_settings(board_store, "other")
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("UPDATE score.period SET number = 90 WHERE kind = 'day'")
        connection.execute("INSERT INTO score.period_result VALUES ('main', 90, 900, 'eve', 1, 5)")
        connection.execute(
            "INSERT INTO score.period SELECT 'other', period_id, kind, number, starts_at, ends_at, closes_at,"
            " final_at, time_zone, zone_data, 2 FROM score.period WHERE kind = 'day'"
        )
        connection.execute(f"INSERT INTO score.standing VALUES ('other', '{MONDAY_ID}', 'ada', 5, 2)")

    await loop.make_round()
    await loop.settle()

    assert closer.closed == 1
    final = await periods.find("other", MONDAY_ID)
    assert final is not None
    assert final.is_final


async def test_loop_closes_what_is_due_although_not_all_periods_can_be_counted(
    loop: ClosingLoop, closer: Closer, periods: PeriodStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def count() -> int:
        raise RecordUnavailableError

    monkeypatch.setattr(periods, "count_unfinished", count)
    await loop.make_round()
    assert math.isnan(loop.unfinished)
    await loop.settle()
    assert closer.closed == 1


async def test_loop_goes_on_when_the_record_was_unavailable(
    loop: ClosingLoop, periods: PeriodStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([RecordUnavailableError(), RuntimeError()])
    list_due = periods.list_due

    async def list_due_later(limit: int) -> Any:
        for failure in failures:
            raise failure
        return await list_due(limit)

    monkeypatch.setattr(periods, "list_due", list_due_later)

    async def is_final() -> bool:
        stored = await periods.find("main", MONDAY_ID)
        return stored is not None and stored.is_final

    async with loop.running(0.01):
        await eventually(is_final)
