"""Changing settings of boards on a real PostgreSQL: what is said of it, and that it is done whole."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import psycopg
import pytest
from tests.fixtures.ledgers.periods import MONDAY, LedgerClock, archive_and_close, written
from tests.fixtures.servers import postgres
from tests.fixtures.servers.stores import make_award

from score_service.boards.board_editor import BoardEditor, BoardsPlan
from score_service.domain.board.board_settings import BoardSettings, LatePolicy, Season
from score_service.domain.board.period import PeriodKind
from score_service.periods.schedules import make_schedule
from score_service.periods.settings_change import SettingsPatch
from score_service.periods.settings_rules import FaultKind
from score_service.periods.zone_data import PINNED, ZoneData
from score_service.record.boards import BoardStore, StoredBoard
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.standings import Standings

_NOON = MONDAY + timedelta(hours=12)
_BERLIN = SettingsPatch(time_zone="Europe/Berlin", periods=("day", "week"))
_WINTER = Season("winter", MONDAY, MONDAY + timedelta(days=60))
_ACTOR = "spiffe://test.local/operator"


@pytest.fixture(autouse=True)
def _clock(ledger_clock: LedgerClock) -> None:
    """Have every test begin at noon of the Monday."""


@pytest.fixture
def editor(board_store: BoardStore, periods: PeriodStore) -> BoardEditor:
    return BoardEditor(board_store, periods, lambda: _NOON)


async def _find(board_store: BoardStore, board_id: str = "main") -> StoredBoard:
    board = await board_store.find(board_id)
    assert board is not None
    return board


async def _award(
    ledger: Ledger,
    board_store: BoardStore,
    board_id: str = "main",
    now: datetime = _NOON,
    zone_data: ZoneData = PINNED,
) -> None:
    """Make an award by the settings that the board has."""
    board = await _find(board_store, board_id)
    schedule = make_schedule(board.settings_revision, board.settings, now, (), zone_data)
    written(await ledger.record_awards(board_id, [make_award(board_id=board_id)], schedule))


def _read_entries(database: postgres.Database) -> Sequence[tuple[object, ...]]:
    with psycopg.connect(database.admin_dsn) as connection:
        return connection.execute(
            "SELECT board_id, revision, kind, actor, trace_id FROM score.entry ORDER BY board_id, revision"
        ).fetchall()


async def test_a_board_that_there_is_not_is_made(
    editor: BoardEditor, board_store: BoardStore, database: postgres.Database
) -> None:
    plan = await editor.apply({"main": _BERLIN}, actor=_ACTOR, trace_id="7" * 32)
    board = await _find(board_store)

    assert [change.field for change in plan.boards["main"].changes] == ["time_zone", "periods"]
    assert board.settings == BoardSettings("Europe/Berlin", ("day", "week"))
    assert (board.settings_revision, board.position.revision, board.opened_periods) == (1, 1, 0)
    assert _read_entries(database) == [("main", 1, "settings", _ACTOR, "7" * 32)]


async def test_a_plan_changes_nothing(editor: BoardEditor, board_store: BoardStore) -> None:
    plan = await editor.plan({"main": _BERLIN}, SettingsPatch(keep=3))

    assert len(plan.boards["main"].changes) == 2
    assert await board_store.find("main") is None
    assert (await board_store.find_default()).version == 0


async def test_what_is_so_already_is_not_written_again(
    editor: BoardEditor, board_store: BoardStore, database: postgres.Database
) -> None:
    await editor.apply({"main": _BERLIN}, _BERLIN, actor=_ACTOR)
    plan = await editor.apply({"main": _BERLIN}, _BERLIN, actor=_ACTOR)

    assert plan.boards["main"].changes == ()
    assert len(_read_entries(database)) == 1
    assert (await board_store.find_default()).version == 1


async def test_a_board_of_all_time_gets_periods(
    editor: BoardEditor, board_store: BoardStore, ledger: Ledger
) -> None:
    await ledger.record_awards("main", [make_award()])
    await editor.apply({"main": _BERLIN}, actor=_ACTOR)
    await _award(ledger, board_store)
    board = await _find(board_store)

    assert (board.settings_revision, board.position.revision, board.opened_periods) == (2, 3, 2)


async def test_a_new_board_begins_with_the_default_of_the_same_change(
    editor: BoardEditor, board_store: BoardStore
) -> None:
    await editor.apply({}, SettingsPatch(keep=3), actor=_ACTOR)
    await editor.apply(
        {"main": SettingsPatch(periods=("day",))}, SettingsPatch(grace_seconds=5), actor=_ACTOR
    )

    assert (await board_store.find_default()).settings == BoardSettings(keep=3, grace_seconds=5)
    assert (await _find(board_store)).settings == BoardSettings(keep=3, grace_seconds=5, periods=("day",))


async def test_a_board_that_is_there_does_not_follow_the_default(
    editor: BoardEditor, board_store: BoardStore, ledger: Ledger
) -> None:
    await ledger.record_awards("main", [make_award()])
    await editor.apply({"main": SettingsPatch(periods=("day",))}, SettingsPatch(keep=3), actor=_ACTOR)

    assert (await _find(board_store)).settings == BoardSettings(periods=("day",))


async def test_one_fault_keeps_all_from_being_done(editor: BoardEditor, board_store: BoardStore) -> None:
    wrong = SettingsPatch(time_zone="CET", grace_seconds=90_000)
    plan = await editor.apply({"good": _BERLIN, "wrong": wrong}, _BERLIN, actor=_ACTOR)

    assert plan.has_faults
    assert [fault.field for fault in plan.boards["wrong"].faults] == ["time_zone", "grace_seconds"]
    assert plan.boards["good"].faults == ()
    assert await board_store.find("good") is None
    assert (await board_store.find_default()).version == 0


def _faults(plan: BoardsPlan) -> list[tuple[str, FaultKind]]:
    return [(fault.field, fault.kind) for fault in plan.boards["main"].faults]


async def test_an_open_season_is_not_altered(
    editor: BoardEditor, board_store: BoardStore, ledger: Ledger
) -> None:
    await editor.apply({"main": SettingsPatch(seasons=(_WINTER,))}, actor=_ACTOR)
    await _award(ledger, board_store)
    before = await _find(board_store)
    longer = Season("winter", _WINTER.starts_at, _WINTER.ends_at + timedelta(days=1))

    plan = await editor.apply({"main": SettingsPatch(seasons=(longer,))}, actor=_ACTOR)

    assert _faults(plan) == [("seasons[0].ends_at", FaultKind.PERIOD_OPEN)]
    assert await _find(board_store) == before


async def test_the_name_of_a_final_season_is_not_used_again(
    editor: BoardEditor,
    board_store: BoardStore,
    ledger: Ledger,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
) -> None:
    short = Season("short", MONDAY, _NOON + timedelta(hours=1))
    following = Season("following", short.ends_at, short.ends_at + timedelta(hours=1))
    await editor.apply({"main": SettingsPatch(seasons=(short, following), grace_seconds=0)}, actor=_ACTOR)
    await _award(ledger, board_store)
    ledger_clock.set(short.ends_at)
    await _award(ledger, board_store, now=short.ends_at)
    ledger_clock.set(following.ends_at)
    for season in ("season:short", "season:following"):
        await _close(periods, season)
    await editor.apply({"main": SettingsPatch(seasons=())}, actor=_ACTOR)

    again = Season("short", following.ends_at, following.ends_at + timedelta(days=1))
    plan = await editor.apply({"main": SettingsPatch(seasons=(again,))}, actor=_ACTOR)

    assert _faults(plan) == [("seasons[0].season_id", FaultKind.INVALID)]


async def _close(periods: PeriodStore, period_id: str) -> None:
    await periods.freeze_periods("main")
    assert await archive_and_close(periods, period_id) is not None


async def test_a_kind_that_is_taken_out_counts_until_its_period_ends(
    editor: BoardEditor,
    board_store: BoardStore,
    ledger: Ledger,
    periods: PeriodStore,
    standings: Standings,
    ledger_clock: LedgerClock,
) -> None:
    await editor.apply({"main": SettingsPatch(periods=("day",))}, actor=_ACTOR)
    await _award(ledger, board_store)
    plan = await editor.apply({"main": SettingsPatch(periods=())}, actor=_ACTOR)
    await _award(ledger, board_store)
    ledger_clock.set(MONDAY + timedelta(days=1))
    await _award(ledger, board_store, now=MONDAY + timedelta(days=1))

    assert [change.effective_at for change in plan.boards["main"].changes] == [MONDAY + timedelta(days=1)]
    reading = await standings.list_standings("main", 5, period_id="day:2026-11-30")
    assert [standing.total for standing in reading.top] == [20]
    assert [stored.period.period_id for stored in await periods.list_live("main")] == ["day:2026-11-30"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Europe/Berlin", "America/Los_Angeles"),
        ("Europe/Berlin", "Asia/Tokyo"),
        ("Europe/Berlin", "Europe/London"),
        ("Pacific/Auckland", "Pacific/Honolulu"),
    ],
)
async def test_in_another_zone_the_next_period_starts_where_the_open_one_ends(
    editor: BoardEditor,
    board_store: BoardStore,
    ledger: Ledger,
    periods: PeriodStore,
    standings: Standings,
    ledger_clock: LedgerClock,
    old: str,
    new: str,
) -> None:
    await editor.apply({"main": SettingsPatch(time_zone=old, periods=("day", "week"))}, actor=_ACTOR)
    await _award(ledger, board_store)
    before = [stored.period for stored in await periods.list_live("main")]
    plan = await editor.apply({"main": SettingsPatch(time_zone=new)}, actor=_ACTOR)
    awards = [*range(1, 40), *range(150, 190)]  # Hours around the end of the first day and of the week.
    for hour in awards:
        now = _NOON + timedelta(hours=hour, minutes=1)
        ledger_clock.set(now)
        await _award(ledger, board_store, now=now)

    first_end = min(period.ends_at for period in before)
    assert [change.effective_at for change in plan.boards["main"].changes] == [first_end]
    opened = [stored.period for stored in await periods.list_live("main")]
    for kind in (PeriodKind.DAY, PeriodKind.WEEK):
        first, second, *rest = (period for period in opened if period.kind is kind)
        assert first in before
        assert second.starts_at == first.ends_at
        assert {period.time_zone for period in (second, *rest)} == {new}
        readings = [
            await standings.get_standings("main", ["ada"], period_id=period.period_id)
            for period in (first, second, *rest)
        ]
        assert sum(reading.users[0].total for reading in readings) == 10 * (1 + len(awards))


@pytest.mark.parametrize("moved_to", ["America/Los_Angeles", "Asia/Tokyo", "Europe/London"])
async def test_new_zone_data_move_what_is_not_open_and_leave_no_gap(
    editor: BoardEditor,
    board_store: BoardStore,
    ledger: Ledger,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
    moved_to: str,
) -> None:
    patch = SettingsPatch(time_zone="Europe/Berlin", periods=("day",))
    await editor.apply({"main": patch}, actor=_ACTOR)
    await _award(ledger, board_store)
    (before,) = await periods.list_live("main")
    newer = ZoneData("2031a", PINNED.names, lambda _name: PINNED.zone(moved_to))
    for hour in (1, 11, 12, 13, 20, 30):
        now = _NOON + timedelta(hours=hour, minutes=1)
        ledger_clock.set(now)
        await _award(ledger, board_store, now=now, zone_data=newer)

    first, second, *_ = [stored.period for stored in await periods.list_live("main")]
    assert (first, first.zone_data) == (before.period, PINNED.version)
    assert (second.starts_at, second.zone_data) == (first.ends_at, "2031a")


class _Interrupted(BoardEditor):
    """Lets something happen between the look and the change."""

    def __init__(self, editor: BoardEditor, *happens: object) -> None:
        super().__init__(editor._boards, editor._periods, editor._now)
        self._happens = list(happens)

    async def plan(self, *boards: object, **more: object) -> BoardsPlan:
        plan = await super().plan(*boards, **more)  # type: ignore[arg-type]
        if self._happens:
            await self._happens.pop(0)()  # type: ignore[operator]
        return plan


async def test_a_period_that_opens_meanwhile_is_looked_at(
    editor: BoardEditor, board_store: BoardStore, ledger: Ledger
) -> None:
    await editor.apply({"main": SettingsPatch(seasons=(_WINTER,))}, actor=_ACTOR)
    interrupted = _Interrupted(editor, lambda: _award(ledger, board_store))

    plan = await interrupted.apply({"main": SettingsPatch(seasons=())}, actor=_ACTOR)

    assert _faults(plan) == [("seasons", FaultKind.PERIOD_OPEN)]
    assert (await _find(board_store)).settings.seasons == (_WINTER,)


async def test_settings_that_someone_else_changes_meanwhile_are_kept(
    editor: BoardEditor, board_store: BoardStore
) -> None:
    await editor.apply({"main": _BERLIN}, actor=_ACTOR)
    interrupted = _Interrupted(editor, lambda: editor.apply({"main": SettingsPatch(keep=7)}, actor=_ACTOR))

    await interrupted.apply({"main": SettingsPatch(late=LatePolicy.REFUSE)}, actor=_ACTOR)

    settings = (await _find(board_store)).settings
    assert (settings.keep, settings.late) == (7, LatePolicy.REFUSE)


async def test_boards_that_were_made_for_a_change_that_failed_are_not_there(
    editor: BoardEditor, board_store: BoardStore, database: postgres.Database
) -> None:
    await editor.apply({"b": _BERLIN}, actor=_ACTOR)
    plan = await editor.plan({"a": _BERLIN, "b": SettingsPatch(keep=2)}, SettingsPatch(keep=2))
    await editor.apply({"b": SettingsPatch(keep=3)}, actor=_ACTOR)

    assert not await board_store.apply_settings(plan.drafts, plan.new_default, actor=_ACTOR)
    assert await board_store.find("a") is None
    assert (await board_store.find_default()).version == 0
    assert [entry[:2] for entry in _read_entries(database)] == [("b", 1), ("b", 2)]


async def test_of_two_changes_of_the_default_one_is_looked_at_again(
    editor: BoardEditor, board_store: BoardStore
) -> None:
    interrupted = _Interrupted(editor, lambda: editor.apply({}, SettingsPatch(keep=2), actor=_ACTOR))
    await interrupted.apply({}, SettingsPatch(grace_seconds=3), actor=_ACTOR)

    found = await board_store.find_default()
    assert (found.version, found.settings) == (2, BoardSettings(keep=2, grace_seconds=3))


async def test_changes_of_many_boards_at_once_do_not_wait_for_each_other_for_ever(
    editor: BoardEditor, board_store: BoardStore
) -> None:
    names = [f"b{n}" for n in range(8)]
    await asyncio.gather(
        *(
            editor.apply({name: SettingsPatch(keep=keep) for name in order}, actor=_ACTOR)
            for keep, order in ((5, names), (6, names[::-1]))
        )
    )

    assert len({(await _find(board_store, name)).settings.keep for name in names}) == 1


async def test_boards_are_listed_by_runs_of_ids_in_order(
    editor: BoardEditor, board_store: BoardStore
) -> None:
    names = ["a", "b", "season-1", "season-2", "season-30", "z"]
    await editor.apply(dict.fromkeys(names, _BERLIN), actor=_ACTOR)
    ranges = [("season-", "season-~"), ("z", "z"), ("season-3", "season-3~"), ("q", "q")]

    first = await board_store.list_page(ranges, "", 2)
    rest = await board_store.list_page(ranges, first[-1].board_id, 10)

    assert [board.board_id for board in first] == ["season-1", "season-2"]
    assert [board.board_id for board in rest] == ["season-30", "z"]
    assert await _find(board_store, "z") == rest[-1]


async def test_the_default_makes_the_first_award_open_its_periods(
    editor: BoardEditor, board_store: BoardStore, ledger: Ledger, periods: PeriodStore
) -> None:
    await editor.apply({}, SettingsPatch(periods=("day",)), actor=_ACTOR)
    default = await board_store.find_default()
    schedule = make_schedule(-default.version, default.settings, _NOON)
    written(await ledger.record_awards("new", [make_award(board_id="new")], schedule))

    board = await _find(board_store, "new")
    assert (board.settings_revision, board.settings, board.opened_periods) == (1, default.settings, 1)
    assert [stored.period.kind for stored in await periods.list_live("new")] == [PeriodKind.DAY]
