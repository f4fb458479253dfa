"""The command that makes boards as a file says, as a process."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import psycopg
import pytest
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import make_award
from tests.fixtures.services.processes import Command

from score_service.record.boards import BoardStore
from score_service.record.ledger import Ledger

_FILE = """
[default]
keep = 12

[[board]]
board_id = "daily"
time_zone = "Europe/Berlin"
periods = ["day", "week"]
late = "refuse"

[[board]]
board_id = "league"
[[board.season]]
season_id = "winter"
starts_at = 2099-12-01T00:00:00+01:00
ends_at = 2100-03-01T00:00:00+01:00
"""

Apply: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def apply(database: Database, command: Command, tmp_path: Path) -> Apply:
    """Return what runs the command with a file of some text."""
    login = database.logins["score_runtime"]
    settings = {
        "SCORE_SERVICE_DATABASE_DSN": login.url,
        "SCORE_SERVICE_DATABASE_PASSWORD_FILE": str(login.password_file),
    }

    def run(text: str, *options: str, **changed: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "boards.toml"
        file.write_text(text, encoding="utf-8")
        return command.run("boards", "apply", str(file), *options, env=settings | changed)

    return run


def _count_entries(database: Database) -> int:
    with psycopg.connect(database.admin_dsn) as connection:
        (row,) = connection.execute(
            "SELECT (SELECT count(*) FROM score.entry) + (SELECT count(*) FROM score.default_settings)"
        ).fetchall()
    return int(row[0])


def test_a_dry_run_says_what_would_change_and_from_when_and_changes_nothing(
    apply: Apply, database: Database
) -> None:
    ended = apply(_FILE, "--dry-run")

    assert ended.returncode == 0
    assert ended.stdout.splitlines() == [
        "default:",
        "  keep: 100 -> 12",
        "board daily: a new board",
        "  time_zone: UTC -> Europe/Berlin",
        "  periods: none -> day, week",
        "  late: current -> refuse",
        "board league: a new board",
        (
            "  season: none -> winter (2099-11-30T23:00:00Z to 2100-02-28T23:00:00Z),"
            " from 2099-11-30T23:00:00Z on"
        ),
        "nothing was changed, as asked",
    ]
    assert _count_entries(database) == 0


async def test_what_was_said_is_done(apply: Apply, board_store: BoardStore, database: Database) -> None:
    planned = apply(_FILE, "--dry-run").stdout.splitlines()
    ended = apply(_FILE)
    daily = await board_store.find("daily")

    assert ended.returncode == 0
    assert ended.stdout.splitlines() == planned[:-1]
    assert daily is not None
    assert (daily.settings.time_zone, daily.settings.keep) == ("Europe/Berlin", 12)
    with psycopg.connect(database.admin_dsn) as connection:
        (entry,) = connection.execute("SELECT actor, body FROM score.entry WHERE board_id = 'daily'")
    assert entry[0] == "score-service boards apply"
    assert json.loads(entry[1])["periods"] == ["day", "week"]


def test_a_file_that_was_applied_changes_nothing_again(apply: Apply, database: Database) -> None:
    apply(_FILE)
    ended = apply(_FILE)

    assert ended.returncode == 0
    assert ended.stdout.splitlines() == [
        "default: as it is",
        "board daily: as it is",
        "board league: as it is",
    ]
    assert _count_entries(database) == 3


def test_a_new_board_without_settings_of_its_own_is_made(apply: Apply, database: Database) -> None:
    assert apply('[[board]]\nboard_id = "plain"').stdout == "board plain: a new board\n"
    assert _count_entries(database) == 1


async def test_a_board_that_the_file_does_not_name_is_left_alone(
    apply: Apply, ledger: Ledger, board_store: BoardStore
) -> None:
    await ledger.record_awards("main", [make_award()])
    before = await board_store.find("main")
    apply(_FILE)

    assert await board_store.find("main") == before


def test_one_setting_that_cannot_be_keeps_all_from_being_changed(apply: Apply, database: Database) -> None:
    wrong = """
[[board]]
board_id = "first"
keep = 3
[[board]]
board_id = "second"
time_zone = "CET"
grace_seconds = 86_401
season = [
  { season_id = "a", starts_at = 2099-01-01T00:00:00Z, ends_at = 2099-03-01T00:00:00Z },
  { season_id = "b", starts_at = 2099-02-01T00:00:00Z, ends_at = 2099-04-01T00:00:00Z },
]
"""
    ended = apply(wrong)
    lines = ended.stdout.splitlines()

    assert ended.returncode == 1
    assert lines[0] == "board first: a new board"
    assert [line.split(": ")[0] for line in lines[2:-1]] == [
        "board second:",
        "  WRONG time_zone",
        "  WRONG grace_seconds",
        "  WRONG season[1].starts_at",
    ]
    assert lines[-1] == "nothing was changed"
    assert _count_entries(database) == 0


def test_a_file_that_cannot_be_read_as_one_ends_with_2(apply: Apply) -> None:
    ended = apply('[[board]]\nboard_id = "a"\nweek = "sunday"\n[[board]]\nkeep = 1')

    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "boards.toml: board[0].week: is not known",
        "boards.toml: board[1].board_id: is missing",
    ]


def test_an_unavailable_record_is_reported(apply: Apply) -> None:
    ended = apply(_FILE, SCORE_SERVICE_DATABASE_DSN="postgresql://nobody@127.0.0.1:1/laurel")

    assert ended.returncode == 1
    assert ended.stdout == "given up, PostgreSQL is unavailable; whether anything was changed is unknown\n"
