"""The cut of a ledger, on a real PostgreSQL."""

import asyncio
import datetime as dt
import json
import uuid

import psycopg
import pytest
from tests.fixtures.ledgers.archiving import Archiving, write_body
from tests.fixtures.ledgers.correcting import Correcting
from tests.fixtures.ledgers.periods import (
    DAY,
    DAYS_AND_WEEKS,
    HOUR,
    MONDAY,
    LedgerClock,
    day,
    make_final,
    make_schedule,
    save_settings,
    week,
    written,
)
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import make_award

from score_service.domain.board.board_settings import BoardSettings
from score_service.domain.ledger.award import Award
from score_service.domain.ledger.position import Position
from score_service.errors import BoardNotFoundError
from score_service.record.archive import (
    Archive,
    ArchiveProblem,
    CheckpointLine,
    CommitEnd,
    LateReversals,
)
from score_service.record.boards import BoardStore
from score_service.record.database import Database as Record
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore

_LINES = [CheckpointLine('["chain","main"]'), CheckpointLine('["tally","all_time","ada"]', "ada", 1)]


async def award(ledger: Ledger, *users: str) -> list[Award]:
    """Award users, one commit each."""
    awards = [make_award(user) for user in users]
    for one in awards:
        await ledger.record_awards("main", [one])
    return awards


def read(database: Database, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database.admin_dsn) as connection:
        return connection.execute(query.encode()).fetchall()


async def seal(
    archiving: Archiving, end: CommitEnd, checked: int, lines: list[CheckpointLine] = _LINES
) -> object:
    return await archiving.archive.archive_awards(
        "main", end, write_body(end, lines), checked, actor="archiver"
    )


async def test_cut_is_set_with_an_entry_in_a_commit_of_its_own(ledger: Ledger, archiving: Archiving) -> None:
    await award(ledger, "ada", "bob", "ada")
    assert await archiving.archive.read_cut("main") is None

    position = await archiving.cut(2)

    cut = await archiving.archive.read_cut("main")
    assert cut is not None
    assert cut.digest is not None
    assert (cut.revision, Position.of(2, cut.digest), cut.entry_revision) == (2, position, 4)
    assert json.loads(cut.body or "")["revision"] == 2
    assert (await ledger.read_head("main")).revision == 4


async def test_cut_is_not_set_before_the_one_that_there_is(ledger: Ledger, archiving: Archiving) -> None:
    await award(ledger, "ada", "bob", "ada")
    await archiving.cut(2)
    head = await ledger.read_head("main")

    assert await seal(archiving, archiving.find_end(2), 4) is ArchiveProblem.NOT_AFTER
    assert await seal(archiving, archiving.find_end(1), 4) is ArchiveProblem.NOT_AFTER
    assert await ledger.read_head("main") == head


async def test_cut_is_the_end_of_a_commit_with_that_digest(ledger: Ledger, archiving: Archiving) -> None:
    await ledger.record_awards("main", [make_award("ada"), make_award("bob")])
    end = archiving.find_end()
    for revision, digest in ((1, end.digest), (2, bytes(32))):
        await archiving.archive.add_checkpoint_lines("main", revision, 2, 0, _LINES)
        assert await seal(archiving, CommitEnd(revision, digest), 2) is ArchiveProblem.NO_COMMIT


async def test_cut_is_not_set_on_a_board_that_is_not_there(archiving: Archiving) -> None:
    with pytest.raises(BoardNotFoundError):
        await seal(archiving, CommitEnd(1, bytes(32)), 1)


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_cut_needs_as_many_lines_as_its_entry_says(
    ledger: Ledger, archiving: Archiving, count: int
) -> None:
    await award(ledger, "ada", "ada")
    lines = (_LINES * 2)[:count]
    assert await archiving.archive.add_checkpoint_lines("main", 2, 2, 0, lines)
    assert await seal(archiving, archiving.find_end(), 2) is ArchiveProblem.NO_CHECKPOINT


async def test_cut_needs_a_checkpoint_without_gaps(ledger: Ledger, archiving: Archiving) -> None:
    await award(ledger, "ada", "ada")
    for after in (0, 2):
        assert await archiving.archive.add_checkpoint_lines("main", 2, 2, after, _LINES[:1])
    assert await seal(archiving, archiving.find_end(), 2) is ArchiveProblem.NO_CHECKPOINT


async def test_cut_is_not_set_if_an_award_up_to_it_was_taken_back_since(
    ledger: Ledger, archiving: Archiving, correcting: Correcting
) -> None:
    awards = await award(ledger, "ada", "ada")
    assert await archiving.archive.add_checkpoint_lines("main", 2, 2, 0, _LINES)
    await correcting.reverse([awards[0].award_id])

    assert await seal(archiving, archiving.find_end(2), 2) is ArchiveProblem.REVERSED
    assert not await archiving.archive.add_checkpoint_lines("main", 2, 2, 0, _LINES)
    assert await archiving.archive.add_checkpoint_lines("main", 2, 3, 0, _LINES)
    assert not isinstance(await seal(archiving, archiving.find_end(2), 3), ArchiveProblem)


async def test_cut_is_not_set_past_a_period_that_is_not_final(
    ledger: Ledger,
    archiving: Archiving,
    board_store: BoardStore,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
) -> None:
    await save_settings(board_store, settings=BoardSettings(periods=("day",)))
    written(await ledger.record_awards("main", [make_award()], make_schedule(day())))
    assert await archiving.archive.add_checkpoint_lines("main", 2, 2, 0, _LINES)
    assert await seal(archiving, archiving.find_end(), 2) is ArchiveProblem.PERIOD_OPEN
    assert await archiving.archive.find_cut("main", MONDAY + 9 * DAY) is None

    ledger_clock.set(MONDAY + 2 * DAY)
    await make_final(periods, day().period_id)

    assert await archiving.archive.find_cut("main", MONDAY + 9 * DAY) == archiving.find_end(3)
    assert not isinstance(await seal(archiving, archiving.find_end(2), 3), ArchiveProblem)


async def test_setting_a_cut_freezes_the_periods_that_are_due(
    database: Database,
    ledger: Ledger,
    archiving: Archiving,
    board_store: BoardStore,
    ledger_clock: LedgerClock,
) -> None:
    await save_settings(board_store)
    written(await ledger.record_awards("main", [make_award()], DAYS_AND_WEEKS))
    ledger_clock.set(MONDAY + 2 * DAY)

    await archiving.cut(1)

    assert read(database, "SELECT period_id, closed_revision FROM score.period ORDER BY number") == [
        (day().period_id, 2),
        (week().period_id, None),
    ]


async def test_cut_by_an_instant_is_the_last_commit_before_it(
    ledger: Ledger, archiving: Archiving, ledger_clock: LedgerClock
) -> None:
    find_cut = archiving.archive.find_cut
    for hours in range(5):
        ledger_clock.set(MONDAY + hours * HOUR)
        await award(ledger, "ada")

    assert await find_cut("main", MONDAY) is None
    assert await find_cut("main", MONDAY + 2 * HOUR) == archiving.find_end(2)
    assert await find_cut("main", MONDAY + DAY) == archiving.find_end(5)
    await archiving.cut_and_delete(3)
    assert await find_cut("main", MONDAY + 2 * HOUR) is None
    assert await find_cut("main", MONDAY + 3 * HOUR) is None
    assert await find_cut("main", MONDAY + 4 * HOUR) == archiving.find_end(4)
    assert await find_cut("nothing", MONDAY) is None


async def test_board_is_not_cut_again_for_the_entry_of_its_cut_alone(
    ledger: Ledger, archiving: Archiving, ledger_clock: LedgerClock
) -> None:
    ledger_clock.set(MONDAY)
    await award(ledger, "ada")
    await archiving.cut_and_delete(1)
    assert await archiving.archive.find_cut("main", MONDAY + DAY) is None
    await award(ledger, "bob")
    assert await archiving.archive.find_cut("main", MONDAY + DAY) == archiving.find_end(3)


async def test_cut_that_a_board_had_before_an_instant_is_told(
    ledger: Ledger, archiving: Archiving, ledger_clock: LedgerClock
) -> None:
    await award(ledger, "ada", "bob", "cyd")
    await archiving.cut(1)
    ledger_clock.set(MONDAY + DAY)
    assert await archiving.archive.find_cut_before("main", MONDAY + 12 * HOUR) == 0
    assert await archiving.archive.find_cut_before("main", MONDAY + DAY) == 1


async def test_users_who_lost_an_award_up_to_a_cut_after_it_are_listed(
    ledger: Ledger, archiving: Archiving, correcting: Correcting
) -> None:
    awards = await award(ledger, "ada", "bob", "cyd", "eve")
    list_late = archiving.archive.list_late_reversals
    await correcting.reverse([awards[0].award_id])  # Revision 5.
    await correcting.reverse([awards[1].award_id, awards[3].award_id])  # 6 and 7.

    assert await list_late("main", 3) == make_late(7, ada=1, bob=2)
    assert await list_late("main", 5) == make_late(7, bob=2, eve=4)
    assert await list_late("main", 7) == make_late(7)
    with pytest.raises(BoardNotFoundError):
        await list_late("nothing", 7)


async def test_awards_that_were_lost_while_a_period_from_before_a_cut_was_open_are_listed(
    ledger: Ledger,
    archiving: Archiving,
    correcting: Correcting,
    board_store: BoardStore,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
) -> None:
    await save_settings(board_store)
    schedule = make_schedule(day())
    later = [make_award("bob"), make_award("cyd")]
    await ledger.record_awards("main", [make_award("bob"), make_award("cyd")], schedule)  # 2 and 3.
    await ledger.record_awards("main", later, schedule)  # 4 and 5.
    await correcting.reverse([later[0].award_id])  # 6.
    ledger_clock.set(day().final_at)
    await make_final(periods, day().period_id)  # 7.
    await correcting.reverse([later[1].award_id])  # 8.

    assert await archiving.archive.list_late_reversals("main", 1) == make_late(8)
    assert await archiving.archive.list_late_reversals("main", 3) == make_late(8, bob=4)


def make_late(head_revision: int, **awards: int) -> LateReversals:
    return LateReversals(head_revision, frozenset(awards), frozenset(awards.values()))


async def test_checkpoint_is_read_in_pages_up_to_a_gap(
    database: Database, ledger: Ledger, archiving: Archiving
) -> None:
    await award(ledger, "ada")
    archive = archiving.archive
    lines = [CheckpointLine(f"[{number}]") for number in range(1, 8)]
    for after in (0, 3, 2):  # Some of them again, as after an answer that was lost.
        assert await archive.add_checkpoint_lines("main", 1, 1, after, lines[after : after + 4])

    assert await archive.read_checkpoint_lines("main", 1, 0, 5) == lines[:5]
    assert await archive.read_checkpoint_lines("main", 1, 5, 5) == lines[5:]
    assert await archive.read_checkpoint_lines("main", 1, 7, 5) == []
    with psycopg.connect(database.admin_dsn) as connection:
        connection.execute("DELETE FROM score.checkpoint_line WHERE number = 3")
    assert await archive.read_checkpoint_lines("main", 1, 0, 5) == lines[:2]


async def test_lines_that_are_not_those_of_the_cut_are_discarded_in_pages(
    database: Database, ledger: Ledger, archiving: Archiving
) -> None:
    await award(ledger, "ada", "ada", "ada")
    for revision in (1, 3):
        await archiving.archive.add_checkpoint_lines("main", revision, 3, 0, _LINES * 3)
    await archiving.cut(2)

    counts = [await archiving.archive.discard_checkpoint("main", 4) for _ in range(5)]

    assert counts == [4, 2, 4, 2, 0]
    assert read(database, "SELECT DISTINCT revision FROM score.checkpoint_line") == [(2,)]


async def test_lines_of_a_checkpoint_that_is_sealed_are_not_written_over(
    ledger: Ledger, archiving: Archiving
) -> None:
    await award(ledger, "ada", "ada")
    await archiving.cut(2)
    before = await archiving.archive.read_checkpoint_lines("main", 2, 0, 9)
    assert not await archiving.archive.add_checkpoint_lines("main", 2, 9, 0, _LINES)
    assert await archiving.archive.read_checkpoint_lines("main", 2, 0, 9) == before


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_awards_up_to_the_cut_are_deleted_in_pages_with_their_commits(
    database: Database, ledger: Ledger, archiving: Archiving, limit: int
) -> None:
    batches = [[make_award("ada"), make_award("bob")], [make_award("cyd")], [make_award("ada")] * 2]
    await ledger.record_awards("main", batches[0])
    await ledger.record_awards("main", batches[1])
    await award(ledger, "eve", "eve")
    await archiving.cut(4)

    assert await archiving.delete(limit=limit) == 4 + 2

    assert read(database, "SELECT revision FROM score.award ORDER BY 1") == [(5,)]
    assert read(database, "SELECT last_revision FROM score.commit ORDER BY 1") == [(4,), (5,), (6,)]
    kept = read(database, "SELECT award_id::text, revision FROM score.archived_award ORDER BY revision")
    assert kept[:3] == [(one.award_id, n) for n, one in enumerate([*batches[0], *batches[1]], start=1)]
    assert await archiving.delete() == 0


async def test_awards_are_deleted_while_the_board_is_locked(
    database: Database, ledger: Ledger, archiving: Archiving
) -> None:
    await award(ledger, "ada", "ada")
    await archiving.cut(1)
    async with await psycopg.AsyncConnection.connect(database.admin_dsn) as connection:
        await connection.execute("SELECT FROM score.board FOR UPDATE")
        assert await archiving.delete() == 1


async def test_nothing_is_deleted_without_a_cut(ledger: Ledger, archiving: Archiving) -> None:
    await award(ledger, "ada")
    assert await archiving.delete() == 0
    assert await archiving.delete("nothing") == 0


async def test_deleting_goes_on_with_commits_that_have_no_award(
    database: Database, ledger: Ledger, archiving: Archiving, correcting: Correcting
) -> None:
    awards = await award(ledger, "ada", "ada", "ada")
    for one in awards[:2]:
        await correcting.reverse([one.award_id])
    await archiving.cut(5)
    assert await archiving.delete(limit=1) == 3 + 4
    assert read(database, "SELECT last_revision FROM score.commit ORDER BY 1") == [(5,), (6,)]


async def test_two_who_delete_at_once_delete_everything_once(
    database: Database, ledger: Ledger, archiving: Archiving
) -> None:
    await award(ledger, *["ada"] * 30)
    await archiving.cut()
    counts = await asyncio.gather(*(archiving.delete(limit=3) for _ in range(3)))
    assert sum(counts) == 30 + 29
    assert read(database, "SELECT count(*) FROM score.archived_award") == [(30,)]


async def test_ids_are_forgotten_in_pages_up_to_a_revision(
    database: Database, ledger: Ledger, archiving: Archiving
) -> None:
    awards = await award(ledger, *["ada"] * 9)
    await archiving.cut_and_delete(8)
    pages, after = [], None
    while page := await archiving.archive.forget_award_ids("main", 5, after, 3):
        pages.append(page)
        after = page.last_award_id

    ids = sorted(uuid.UUID(one.award_id) for one in awards[:8])
    assert [page.last_award_id for page in pages] == [str(ids[n]) for n in (2, 5, 7)]
    assert sum(page.count for page in pages) == 5
    assert read(database, "SELECT revision FROM score.archived_award ORDER BY 1") == [(6,), (7,), (8,)]


async def test_first_of_all_ids_is_forgotten(ledger: Ledger, archiving: Archiving) -> None:
    await ledger.record_awards("main", [make_award(award_id=uuid.UUID(int=0))])
    await archiving.cut_and_delete()
    page = await archiving.archive.forget_award_ids("main", 1, None, 3)
    assert page is not None
    assert (page.last_award_id, page.count) == (str(uuid.UUID(int=0)), 1)


async def test_runtime_role_can_read_the_cut_and_neither_set_it_nor_delete(
    ledger: Ledger, record: Record, archiving: Archiving, database: Database
) -> None:
    await award(ledger, "ada", "ada")
    await archiving.cut(1)
    runtime = Archive(record)

    assert await runtime.read_cut("main") == await archiving.archive.read_cut("main")
    assert await runtime.find_cut("main", dt.datetime.now(dt.UTC) + DAY) is not None
    for forbidden in (
        "UPDATE score.board SET archived_revision = 2",
        "INSERT INTO score.board VALUES ('new', 0, sha256(''), now(), 0, 5)",
        "DELETE FROM score.archived_award",
        "INSERT INTO score.archived_award VALUES ('main', gen_random_uuid(), 1)",
        "UPDATE score.checkpoint_line SET line = ''",
        "SELECT score.delete_archived('main', 0, 9)",
        "SELECT score.archive_awards('main', 2, '', '{}', 9, '', '')",
        "SELECT score.add_checkpoint_lines('main', 2, 9, 0, '{}', '{}', '{}')",
        "SELECT score.discard_checkpoint('main', 9)",
        "SELECT score.forget_award_ids('main', 9, NULL, 9)",
    ):
        with (
            psycopg.connect(database.score_runtime_dsn) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(forbidden.encode())
