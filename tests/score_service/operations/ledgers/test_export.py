"""The commands that keep ledgers in files, as processes and on a real PostgreSQL."""

from pathlib import Path

import psycopg
import pytest
from tests.fixtures.ledgers.correcting import Correcting
from tests.fixtures.ledgers.periods import DAYS_AND_WEEKS, LedgerClock, day, make_final, save_settings
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import NO_RETRIES, make_award
from tests.fixtures.services.processes import Command

from score_service.domain.ledger.position import Position
from score_service.domain.ledger.visibility import Visibility
from score_service.operations.ledgers import export as ledger_export
from score_service.operations.ledgers.export import LedgerExporter
from score_service.operations.ledgers.files import LedgerFile, LedgerFileError, read_files
from score_service.record import database as record_database
from score_service.record.boards import BoardStore
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore


@pytest.fixture
def environment(database: Database) -> dict[str, str]:
    """Return what the commands need to know of PostgreSQL."""
    login = database.logins["score_runtime"]
    return {
        "SCORE_SERVICE_DATABASE_DSN": login.url,
        "SCORE_SERVICE_DATABASE_PASSWORD_FILE": str(login.password_file),
    }


@pytest.fixture
def exporter(record: record_database.Database) -> LedgerExporter:
    return LedgerExporter(record, NO_RETRIES)


@pytest.fixture
async def _history(
    ledger: Ledger,
    board_store: BoardStore,
    periods: PeriodStore,
    correcting: Correcting,
    ledger_clock: LedgerClock,
) -> None:
    """Make a ledger of all kinds of entries, in eight commits."""
    await save_settings(board_store)
    ada = make_award("ada", 3)
    for awards in (
        [ada, make_award("bob", 9)],
        [make_award("ada", 4)],
        [make_award("cyd"), make_award("dan")],
    ):
        await ledger.record_awards("main", awards, DAYS_AND_WEEKS)
    await correcting.reverse([ada.award_id])
    await correcting.show("bob", Visibility.HIDDEN)
    ledger_clock.set(day().final_at)
    await make_final(periods, day().period_id)
    await ledger.record_awards("other", [make_award(board_id="other")])


async def export(
    exporter: LedgerExporter, folder: Path, upto: Position | None = None
) -> list[tuple[int, int]]:
    files: list[LedgerFile] = [file async for file in exporter.export_board("main", folder, upto)]
    return [(file.after_revision, file.last_revision) for file in files]


def find_end(folder: Path) -> Position:
    return list(read_files(folder, "main"))[-1].position


@pytest.mark.usefixtures("_history")
@pytest.mark.parametrize("page", [1, 2, 1000])
async def test_files_have_whole_commits_and_go_on_after_the_last_one(
    exporter: LedgerExporter, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(ledger_export, "_PAGE", page)
    monkeypatch.setattr(ledger_export, "_REVISIONS_A_FILE", 2)

    assert await export(exporter, tmp_path) == [(0, 3), (3, 6), (6, 8), (8, 9)]
    assert find_end(tmp_path) == await ledger.read_head("main")
    assert await export(exporter, tmp_path) == []

    await ledger.record_awards("main", [make_award("eve")], DAYS_AND_WEEKS)
    assert await export(exporter, tmp_path) == [(9, 10)]
    assert find_end(tmp_path) == await ledger.read_head("main")


@pytest.mark.usefixtures("_history")
async def test_one_export_of_a_board_at_a_time_writes_into_a_folder(
    exporter: LedgerExporter, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_export, "_REVISIONS_A_FILE", 5)
    first = exporter.export_board("main", tmp_path)
    await anext(first)
    await ledger.record_awards("main", [make_award("eve")], DAYS_AND_WEEKS)

    with pytest.raises(LedgerFileError, match="another export writes"):
        await export(exporter, tmp_path)
    assert [file.board_id async for file in exporter.export_board("other", tmp_path)] == ["other"]
    assert [file.last_revision async for file in first] == [9]

    assert await export(exporter, tmp_path) == [(9, 10)]
    assert find_end(tmp_path) == await ledger.read_head("main")
    assert {path.suffix for path in list_paths(tmp_path)} == {".ledger"}


@pytest.mark.usefixtures("_history")
async def test_files_end_where_they_are_asked_to(
    exporter: LedgerExporter, ledger: Ledger, tmp_path: Path, database: Database
) -> None:
    with psycopg.connect(database.admin_dsn) as connection:
        ((digest,),) = connection.execute(
            "SELECT digest FROM score.commit WHERE board_id = 'main' AND last_revision = 4"
        )
    upto = Position.of(4, digest)

    assert await export(exporter, tmp_path, upto) == [(0, 4)]
    assert find_end(tmp_path) == upto
    assert await export(exporter, tmp_path, upto) == []
    assert await export(exporter, tmp_path) == [(4, 9)]
    for nowhere in (Position(4, "0" * 16), Position(2, upto.mark), Position(90, upto.mark)):
        with pytest.raises(LedgerFileError, match=f"never at {nowhere}"):
            await export(exporter, tmp_path, nowhere)


@pytest.mark.usefixtures("_history")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE score.award SET points = points + 1 WHERE revision = 4",
        "DELETE FROM score.award WHERE revision = 5 AND board_id = 'main'",
        "DELETE FROM score.commit WHERE last_revision = 6",
        "UPDATE score.entry SET body = '{}' WHERE revision = 7",
    ],
)
async def test_ledger_whose_chain_does_not_hold_is_kept_up_to_there_alone(
    exporter: LedgerExporter,
    tmp_path: Path,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
) -> None:
    monkeypatch.setattr(ledger_export, "_REVISIONS_A_FILE", 2)
    plant(database, statement)

    with pytest.raises(LedgerFileError, match="not whole"):
        await export(exporter, tmp_path)
    assert 3 <= find_end(tmp_path).revision < 7
    assert {path.suffix for path in list_paths(tmp_path)} == {".ledger"}


@pytest.mark.usefixtures("_history")
async def test_record_that_went_another_way_does_not_go_on_in_the_files(
    exporter: LedgerExporter, ledger: Ledger, tmp_path: Path, database: Database, board_store: BoardStore
) -> None:
    await export(exporter, tmp_path)
    end = find_end(tmp_path)
    tables = ("reversal", "visibility", "period_result", "period", "award", "commit", "entry", "standing")
    plant(database, *(f"DELETE FROM score.{table}" for table in (*tables, "board")))
    await save_settings(board_store)
    await ledger.record_awards("main", [make_award(f"user{n}") for n in range(20)], DAYS_AND_WEEKS)

    with pytest.raises(LedgerFileError, match=f"never at {end}"):
        await export(exporter, tmp_path)


@pytest.mark.usefixtures("_history")
async def test_commands_say_what_is_kept_and_whether_the_record_goes_on(
    command: Command, environment: dict[str, str], ledger: Ledger, tmp_path: Path, database: Database
) -> None:
    folder, end = str(tmp_path), await ledger.read_head("main")

    kept = command.run("ledger", "export", "main", folder, env=environment)
    assert kept.stdout == "main: revisions 1 to 9 kept\nmain: the files are as far as asked for\n"
    assert kept.returncode == 0

    holds = f"main: 9 entries in 1 file up to {end}, chain holds"
    alone = command.run("ledger", "verify", "main", folder, env={})
    assert (alone.stdout, alone.returncode) == (f"{holds}\n", 0)
    beside = command.run("ledger", "verify", "main", folder, "--record", env=environment)
    assert (beside.stdout, beside.returncode) == (f"{holds}; and goes on in the record\n", 0)

    plant(database, "UPDATE score.commit SET digest = sha256('') WHERE last_revision = 9")
    other = command.run("ledger", "verify", "main", folder, "--record", env=environment)
    assert (other.stdout, other.returncode) == (f"{holds}; the record was never there\n", 1)


async def test_commands_say_what_cannot_be_done_and_end_with_1(
    command: Command, environment: dict[str, str], tmp_path: Path
) -> None:
    away = environment | {"SCORE_SERVICE_DATABASE_DSN": "postgresql://score_runtime@127.0.0.1:1/laurel"}
    for words, settings, said in [
        (["export", "main"], environment, "main: given up, the record has no such board\n"),
        (["export", "main"], away, "main: given up, PostgreSQL is unavailable\n"),
        (["verify", "main"], {}, f"main: there are no files in {tmp_path}\n"),
    ]:
        ended = command.run("ledger", *words, str(tmp_path), env=settings)
        assert (ended.stdout, ended.returncode) == (said, 1)


def plant(database: Database, *statements: str) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def list_paths(folder: Path) -> list[Path]:
    return list(folder.iterdir())
