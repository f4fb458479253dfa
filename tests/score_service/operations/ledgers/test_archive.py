"""The command that archives old awards, as a process and on a real PostgreSQL."""

import datetime as dt
from pathlib import Path

import psycopg
import pytest
from tests.fixtures.ledgers.periods import DAY, LedgerClock
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import make_award
from tests.fixtures.services.processes import Command

from score_service.domain.ledger.position import Position
from score_service.record.ledger import Ledger


@pytest.fixture
def runtime(database: Database) -> dict[str, str]:
    """Return what the commands of the runtime role need to know."""
    login = database.logins["score_runtime"]
    return {
        "SCORE_SERVICE_DATABASE_DSN": login.url,
        "SCORE_SERVICE_DATABASE_PASSWORD_FILE": str(login.password_file),
    }


@pytest.fixture
def owner(database: Database) -> dict[str, str]:
    """Return what the command needs to know."""
    login = database.logins["score_owner"]
    return {
        "SCORE_SERVICE_MIGRATION_DSN": login.url,
        "SCORE_SERVICE_MIGRATION_PASSWORD_FILE": str(login.password_file),
    }


@pytest.fixture
async def old(ledger: Ledger, ledger_clock: LedgerClock) -> Position:
    """Make two boards, one of them with two commits of long ago; return where that stood then."""
    ledger_clock.set(dt.datetime.now(dt.UTC) - 40 * DAY)
    await ledger.record_awards("main", [make_award("ada"), make_award("bob")])
    await ledger.record_awards("main", [make_award("ada")])
    position = await ledger.read_head("main")
    ledger_clock.run()
    await ledger.record_awards("main", [make_award("cyd")])
    await ledger.record_awards("other", [make_award(board_id="other")])
    return position


def is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


def plant(database: Database, statement: str) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


async def test_each_board_gets_a_line_and_is_well_afterwards(
    old: Position,
    command: Command,
    owner: dict[str, str],
    runtime: dict[str, str],
    tmp_path: Path,
    ledger: Ledger,
) -> None:
    words = ["ledger", "archive", str(tmp_path), "--older-than", "30"]

    dry = command.run(*words, "--dry-run", env=owner)
    assert dry.stdout == (
        f"main: 3 awards to archive, up to {old}\nother: there is nothing to archive\n2 boards, all well\n"
    )
    assert is_empty(tmp_path)
    done = command.run(*words, env=owner)
    assert done.stdout == (
        f"main: archived up to {old}, 4 rows deleted\n"
        "other: there is nothing to archive\n"
        "2 boards, all well\n"
    )
    assert (dry.returncode, done.returncode) == (0, 0)
    assert command.run(*words, "main", env=owner).stdout == "main: there is nothing to archive\n"

    head = await ledger.read_head("main")
    assert command.run("verify", "main", "--record-only", env=runtime).stdout == (
        f"main: 5 entries (1 cut, 4 awards) in 4 commits up to {head}, chain holds;"
        f" 3 standings as the ledger says; read from the cut at {old} on\n"
    )
    files = command.run("ledger", "verify", "main", str(tmp_path), "--record", env=runtime)
    assert files.stdout == (
        f"main: 3 entries in 1 file up to {old}, chain holds; and goes on in the record\n"
    )
    assert command.run("ledger", "export", "main", str(tmp_path), env=runtime).stdout == (
        "main: revisions 4 to 5 kept\nmain: the files are as far as asked for\n"
    )


async def test_ids_are_forgotten_where_that_is_asked_for(
    ledger: Ledger, ledger_clock: LedgerClock, command: Command, owner: dict[str, str], tmp_path: Path
) -> None:
    words = ["ledger", "archive", str(tmp_path), "main", "--older-than", "30"]
    now = dt.datetime.now(dt.UTC)
    ledger_clock.set(now - 200 * DAY)
    await ledger.record_awards("main", [make_award("ada"), make_award("bob")])
    position = await ledger.read_head("main")
    ledger_clock.set(now - 95 * DAY)
    assert command.run(*words, env=owner).stdout == f"main: archived up to {position}, 2 rows deleted\n"

    ledger_clock.run()
    young = command.run(*words, "--forget-ids-after", "100", env=owner)
    assert young.stdout == "main: there is nothing to archive\n"
    old = command.run(*words, "--forget-ids-after", "90", env=owner)
    assert old.stdout == "main: there is nothing to archive, 2 ids forgotten\n"


async def test_files_that_end_before_the_cut_are_named(
    old: Position, command: Command, owner: dict[str, str], runtime: dict[str, str], tmp_path: Path
) -> None:
    for name in ("part", "whole", "none"):
        (tmp_path / name).mkdir()
    part = str(tmp_path / "part")
    assert command.run("ledger", "export", "main", part, "--upto", f"{old}", env=runtime).returncode == 0
    (path,) = (tmp_path / "part").glob("*.ledger")
    lines = path.read_bytes().splitlines(keepends=True)
    (path.parent / path.name.replace(f"{3:019}", f"{2:019}")).write_bytes(b"".join(lines[:4]))
    path.unlink()
    command.run("ledger", "archive", str(tmp_path / "whole"), "main", "--older-than", "30", env=owner)

    for name in ("part", "none"):
        ended = command.run("ledger", "export", "main", str(tmp_path / name), env=runtime)
        assert ended.stdout == (
            f"main: given up, the ledger of main is archived up to {old}: only files that reach it go on\n"
        )
        assert ended.returncode == 1
    ended = command.run("ledger", "verify", "main", str(tmp_path / "part"), "--record", env=runtime)
    assert ended.stdout.endswith(f"; the record is archived up to {old}, and what is between is missing\n")
    assert ended.returncode == 1


async def test_what_cannot_be_done_is_said_and_ends_with_1(
    old: Position,
    command: Command,
    owner: dict[str, str],
    tmp_path: Path,
    database: Database,
) -> None:
    words = ["ledger", "archive", str(tmp_path), "main", "--older-than", "30"]
    away = owner | {"SCORE_SERVICE_MIGRATION_DSN": "postgresql://score_owner@127.0.0.1:1/laurel"}
    plant(database, "UPDATE score.award SET caller = 'x' WHERE board_id = 'main' AND revision = 1")

    faulty = command.run(*words, env=owner)
    assert faulty.stdout == (
        "main: given up, the record has faults up to there\n"
        "  revision 2: the commit's digest is not that of its rows and of the commits before it\n"
    )
    missing = command.run(*words[:3], "nothing", *words[4:], env=owner)
    assert missing.stdout == "nothing: given up, the record has no such board\n"
    unavailable = command.run(*words, env=away)
    assert unavailable.stdout == "main: given up, PostgreSQL is unavailable\n"
    assert (faulty.returncode, missing.returncode, unavailable.returncode) == (1, 1, 1)
    assert is_empty(tmp_path)


async def test_role_that_may_not_archive_is_told_so_before_anything_is_done(
    old: Position, command: Command, owner: dict[str, str], tmp_path: Path, database: Database
) -> None:
    login = database.logins["score_runtime"]
    runtime = owner | {
        "SCORE_SERVICE_MIGRATION_DSN": login.url,
        "SCORE_SERVICE_MIGRATION_PASSWORD_FILE": str(login.password_file),
    }

    for option in ([], ["--dry-run"]):
        ended = command.run(
            "ledger", "archive", str(tmp_path), "main", "--older-than", "30", *option, env=runtime
        )
        assert ended.stdout == "main: given up, the role that logs in does not own the record\n"
        assert ended.returncode == 1
    assert is_empty(tmp_path)


async def test_board_whose_files_cannot_be_used_keeps_no_other_one_from_being_archived(
    old: Position, command: Command, owner: dict[str, str], tmp_path: Path
) -> None:
    lock = tmp_path / ".main.lock"
    lock.mkdir()

    ended = command.run("ledger", "archive", str(tmp_path), "main", "other", "--older-than", "30", env=owner)
    assert ended.stdout == (
        f"main: given up, [Errno 21] Is a directory: '{lock}'\n"
        "other: there is nothing to archive\n"
        "2 boards, 1 of them not well\n"
    )
    assert ended.returncode == 1


async def test_checkpoint_that_is_none_is_named(
    old: Position,
    command: Command,
    owner: dict[str, str],
    runtime: dict[str, str],
    tmp_path: Path,
    database: Database,
) -> None:
    command.run("ledger", "archive", str(tmp_path), "main", "--older-than", "30", env=owner)
    plant(database, "DELETE FROM score.checkpoint_line")

    ended = command.run("verify", "main", "--record-only", env=runtime)
    assert ended.stdout == "main: given up, the record has no whole checkpoint of its cut at revision 3\n"
    assert ended.returncode == 1
