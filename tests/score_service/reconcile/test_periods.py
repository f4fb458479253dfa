"""Boards with periods: caught up, rebuilt and audited, at a ledger time that the test sets."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from tests.fixtures.ledgers.headcounts import heads
from tests.fixtures.ledgers.periods import (
    DAY,
    DAYS_AND_WEEKS,
    HOUR,
    MONDAY,
    LedgerClock,
    day,
    make_final,
    save_settings,
    week,
    written,
)
from tests.fixtures.ledgers.steps import Step, Stepped
from tests.fixtures.servers.redis import delete_keys
from tests.fixtures.servers.stores import NO_RETRIES, is_projected, make_award

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.changes import Changes, read_lines, write_lines
from score_service.domain.ledger.findings import Fault, Finding
from score_service.projection.projection import Projection
from score_service.reconcile.auditor import AuditLoop, Auditor
from score_service.reconcile.headers import Headers
from score_service.reconcile.projector import Projector
from score_service.reconcile.rebuild.census import Census
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.record.boards import BoardStore
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.standings import Standings

MONDAY_ID, TUESDAY_ID, WEEK_ID = day().period_id, day(1).period_id, week().period_id


class Board:
    """A board with days and weeks, and what happens on it."""

    def __init__(
        self,
        ledger: Ledger,
        store: BoardStore,
        periods: PeriodStore,
        clock: LedgerClock,
        board_id: str,
    ) -> None:
        self.board_id = board_id
        self._ledger = ledger
        self._store = store
        self._periods = periods
        self._clock = clock

    async def begin(self) -> None:
        """Give five users points on the Monday."""
        self._clock.set(MONDAY + 12 * HOUR)
        await save_settings(self._store, self.board_id)
        for round_ in range(2):
            await self.award(*(f"user{(i * 3 + round_) % 5}" for i in range(5)))

    async def award(self, *users: str, points: int = 1) -> Changes:
        """Write awards."""
        awards = [make_award(user, points, board_id=self.board_id) for user in users]
        return written(await self._ledger.record_awards(self.board_id, awards, DAYS_AND_WEEKS)).changes

    async def go_on(self) -> None:
        """Have the Monday end, a Tuesday begin, and the Monday become final."""
        self._clock.set(MONDAY + DAY + 6 * HOUR)
        await self.award("user1", "late", points=3)
        await make_final(self._periods, MONDAY_ID, self.board_id)
        await self.award("user0")


@pytest.fixture
def make_board(
    ledger: Ledger, board_store: BoardStore, periods: PeriodStore, ledger_clock: LedgerClock
) -> Callable[[str], Awaitable[Board]]:
    async def make(board_id: str) -> Board:
        board = Board(ledger, board_store, periods, ledger_clock, board_id)
        await board.begin()
        return board

    return make


@pytest.fixture
async def board(make_board: Callable[[str], Awaitable[Board]]) -> Board:
    return await make_board("main")


@pytest.fixture
def step_rebuilder(
    ledger: Ledger, standings: Standings, periods: PeriodStore, projection: Projection
) -> Callable[[Step], Rebuilder]:
    """Return a function that makes a rebuilder of small pages, which tells of each step before it."""

    def make(before: Step) -> Rebuilder:
        stores = [Stepped(store, before) for store in (ledger, standings, periods, projection)]
        return Rebuilder(*cast("tuple[Any, Any, Any, Any]", stores), NO_RETRIES, page_size=2)

    return make


async def count_steps(step_rebuilder: Callable[[Step], Rebuilder], board_id: str) -> list[str]:
    steps = list[str]()

    async def note(step: str) -> None:
        steps.append(step)

    assert await step_rebuilder(note).rebuild(board_id)
    return steps


async def lives_of(redis: "Redis", prefix: str, board_id: str = "main") -> list[int]:
    """Return for how many seconds each key of a board lives, -1 for ever."""
    keys = [key async for key in redis.scan_iter(f"{prefix}{{{board_id}}}*")]
    return [await redis.ttl(key) for key in keys]


async def test_periods_are_caught_up_along_the_ledger(
    ledger: Ledger, projection: Projection, projector: Projector, board: Board
) -> None:
    await projector.catch_up("main")
    assert await is_projected(ledger, projection)

    await board.go_on()
    await projector.catch_up("main")

    header = await projection.read_header("main")
    assert header
    assert header.periods == {TUESDAY_ID: heads(3), WEEK_ID: heads(6)}
    assert await is_projected(ledger, projection)


async def test_commit_that_makes_a_period_final_is_projected(
    ledger: Ledger,
    projection: Projection,
    projector: Projector,
    board: Board,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
    redis: "Redis",
    redis_prefix: str,
) -> None:
    await projector.catch_up("main")
    ledger_clock.set(day().final_at)

    assert await projector.project(await make_final(periods, MONDAY_ID)) == {}

    assert await is_projected(ledger, projection)
    assert len(await lives_of(redis, redis_prefix)) == 5
    assert await projector.project(await board.award("user3")) == {"user3": 1}
    assert await is_projected(ledger, projection)


async def test_wiped_board_is_made_again_with_its_periods(
    ledger: Ledger,
    projection: Projection,
    projector: Projector,
    rebuilder: Rebuilder,
    board: Board,
    redis_url: str,
    redis_prefix: str,
) -> None:
    await board.go_on()
    await projector.catch_up("main")
    await delete_keys(redis_url, redis_prefix)

    rebuilt = await rebuilder.rebuild("main")

    assert rebuilt
    assert (rebuilt.members, rebuilt.standings) == (6, 15)
    assert await is_projected(ledger, projection)


async def test_board_that_has_settings_alone_is_made(
    ledger: Ledger, projection: Projection, rebuilder: Rebuilder, board_store: BoardStore
) -> None:
    await save_settings(board_store)

    assert await rebuilder.rebuild("main")

    assert await is_projected(ledger, projection)


@pytest.mark.parametrize("is_there_before", [True, False])
async def test_periods_that_begin_and_end_before_any_step_of_a_rebuild_are_as_the_ledger_says(
    ledger: Ledger,
    projection: Projection,
    projector: Projector,
    make_board: Callable[[str], Awaitable[Board]],
    step_rebuilder: Callable[[Step], Rebuilder],
    redis: "Redis",
    redis_prefix: str,
    is_there_before: bool,  # noqa: FBT001 - A parameter of the test.
) -> None:
    await make_board("first")
    steps = await count_steps(step_rebuilder, "first")
    assert steps.count("load") == 9  # Three pages each, of all time, of the day and of the week.

    for pause, _ in enumerate(steps):
        board = await make_board(f"board{pause}")
        if is_there_before:
            await projector.catch_up(board.board_id)
        left = iter(range(pause, -1, -1))

        async def happen(_step: str, board: Board = board, left: Any = left) -> None:
            if next(left, None) == 0:
                await board.go_on()
                if is_there_before:
                    await projector.catch_up(board.board_id)

        await step_rebuilder(happen).rebuild(board.board_id)

        await projector.catch_up(board.board_id)
        assert await is_projected(ledger, projection, board.board_id), pause
        assert await lives_of(redis, redis_prefix, board.board_id) == [-1] * 7


async def test_rebuild_that_ends_before_any_step_is_gone_on_with_though_periods_began_and_ended(
    ledger: Ledger,
    projection: Projection,
    make_board: Callable[[str], Awaitable[Board]],
    step_rebuilder: Callable[[Step], Rebuilder],
    redis: "Redis",
    redis_prefix: str,
) -> None:
    await make_board("first")
    steps = await count_steps(step_rebuilder, "first")

    for pause, name in enumerate(steps):
        board = await make_board(f"board{pause}")
        left = iter(range(pause, -1, -1))

        async def end(_step: str, left: Any = left) -> None:
            if next(left, None) == 0:
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await step_rebuilder(end).rebuild(board.board_id)
        await board.go_on()
        again = await count_steps(step_rebuilder, board.board_id)

        assert await is_projected(ledger, projection, board.board_id), (pause, name)
        assert await lives_of(redis, redis_prefix, board.board_id) == [-1] * 7
        if name == "switch":
            assert again.count("read_page") <= 2  # What was loaded is not read again.


@pytest.mark.parametrize("lost", ["ranks", "totals"])
async def test_board_that_lost_a_key_of_a_period_is_dropped_and_made_again(
    ledger: Ledger,
    projection: Projection,
    projector: Projector,
    board: Board,
    redis: "Redis",
    redis_prefix: str,
    lost: str,
) -> None:
    await projector.catch_up("main")
    await redis.delete(*[key async for key in redis.scan_iter(f"{redis_prefix}*{MONDAY_ID}:{lost}")])

    assert await Headers(ledger, projection).find("main") is None
    assert await lives_of(redis, redis_prefix) == []
    await projector.catch_up("main")

    assert await is_projected(ledger, projection)
    assert await projector.project(await board.award("user3")) == {"user3": 1}


async def test_members_of_periods_are_counted_at_one_position(
    ledger: Ledger, standings: Standings, board: Board
) -> None:
    async def come(step: str) -> None:
        if step == "count_page":
            await board.award("new0", "user1", "new1")

    stepped = cast("Any", Stepped(standings, come))
    counted = await Census(ledger, stepped, NO_RETRIES, page_size=2).count_each(
        "main", [MONDAY_ID, WEEK_ID, TUESDAY_ID]
    )

    assert counted.position == await ledger.read_head("main")
    assert counted.members == {ALL_TIME: 7, MONDAY_ID: 7, WEEK_ID: 7, TUESDAY_ID: 0}


@pytest.fixture
def auditor(ledger: Ledger, standings: Standings, periods: PeriodStore, projection: Projection) -> Auditor:
    return Auditor(ledger, standings, periods, projection, NO_RETRIES)


async def test_periods_that_are_right_are_no_drift(
    projector: Projector, auditor: Auditor, board: Board
) -> None:
    await board.go_on()
    await projector.catch_up("main")

    audit = await auditor.audit_board("main")

    assert audit.counts == {ALL_TIME: 6, TUESDAY_ID: 3, WEEK_ID: 6}
    assert (audit.compared, audit.drift, len(audit.findings)) == (15, 0, 0)


async def test_standing_of_a_period_that_differs_is_found_and_mended(
    ledger: Ledger,
    projection: Projection,
    projector: Projector,
    rebuilder: Rebuilder,
    auditor: Auditor,
    board: Board,
) -> None:
    await projector.catch_up("main")
    changes = await board.award("user3")
    (change,) = read_lines(changes.periods[MONDAY_ID])
    wrong = {**changes.periods, MONDAY_ID: write_lines([change._replace(total=9)])}
    await projection.apply_changes(replace(changes, periods=wrong))

    audit = await auditor.audit_board("main")

    expected = Finding(Fault.PROJECTION_WRONG, user_id="user3", period_id=MONDAY_ID)
    assert (audit.findings.kept, audit.drift) == ([expected], 1)
    loop = AuditLoop(ledger, auditor, rebuilder, jitter=lambda: 0)
    await loop.make_round(asyncio.Event())
    assert (loop.drift, loop.repairs) == (1, 1)
    assert await is_projected(ledger, projection)


async def test_period_that_the_projection_has_beyond_its_end_is_found_and_mended(
    ledger: Ledger,
    projection: Projection,
    projector: Projector,
    rebuilder: Rebuilder,
    auditor: Auditor,
    board: Board,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
) -> None:
    await projector.catch_up("main")
    ledger_clock.set(day().final_at)
    end = await make_final(periods, MONDAY_ID)
    await projection.apply_changes(replace(end, finished=()))

    audit = await auditor.audit_board("main")

    assert (audit.findings.kept, audit.drift) == ([Finding(Fault.PERIOD_SURPLUS, period_id=MONDAY_ID)], 5)
    loop = AuditLoop(ledger, auditor, rebuilder, jitter=lambda: 0)
    await loop.make_round(asyncio.Event())
    assert await is_projected(ledger, projection)


async def test_period_that_the_projection_lacks_is_found(
    projection: Projection, projector: Projector, auditor: Auditor, board: Board, ledger_clock: LedgerClock
) -> None:
    await projector.catch_up("main")
    ledger_clock.set(MONDAY + DAY + HOUR)
    changes = await board.award("user1")
    await projection.apply_changes(replace(changes, periods={WEEK_ID: changes.periods[WEEK_ID]}))

    audit = await auditor.audit_board("main")

    assert audit.findings.counts == {Fault.MEMBERS_WRONG: 1, Fault.PROJECTION_WRONG: 1}
    assert {finding.period_id for finding in audit.findings.kept} == {TUESDAY_ID}
    assert audit.drift == 1


@pytest.mark.parametrize("projects", [True, False])
async def test_periods_that_begin_and_end_before_any_step_of_an_audit_are_no_drift(
    ledger: Ledger,
    standings: Standings,
    periods: PeriodStore,
    projection: Projection,
    projector: Projector,
    make_board: Callable[[str], Awaitable[Board]],
    monkeypatch: pytest.MonkeyPatch,
    projects: bool,  # noqa: FBT001 - A parameter of the test.
) -> None:
    monkeypatch.setattr("score_service.reconcile.auditor._PAGE", 2)
    monkeypatch.setattr("score_service.reconcile.auditor._LOOK_SECONDS", 0.001)
    steps = list[str]()

    def make(before: Step) -> Auditor:
        stores = [Stepped(store, before) for store in (ledger, standings, periods, projection)]
        return Auditor(*cast("tuple[Any, Any, Any, Any]", stores), NO_RETRIES)

    async def note(step: str) -> None:
        steps.append(step)

    await make_board("first")
    await projector.catch_up("first")
    await make(note).audit_board("first")
    for pause, name in enumerate(steps):
        board = await make_board(f"board{pause}")
        await projector.catch_up(board.board_id)
        left = iter(range(pause, -1, -1))

        async def happen(_step: str, board: Board = board, left: Any = left) -> None:
            if next(left, None) == 0:
                await board.go_on()
                if projects:
                    await projector.catch_up(board.board_id)

        audit = await make(happen).audit_board(board.board_id)

        assert audit.drift == 0, (pause, name, audit.findings.kept)
