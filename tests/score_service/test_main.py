"""The command: help that tells the settings, and exit codes that tell what went wrong."""

import os
import subprocess
import sys
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from tests.fixtures.postgres import Database

from score_service.__main__ import main
from score_service.settings import MigrateSettings, ServeSettings, StoreSettings, variable


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process."""
    return subprocess.run(
        [sys.executable, "-m", "score_service", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_and_version_are_told(runner: CliRunner) -> None:
    assert "serve" in runner.invoke(main, ["--help"]).stdout
    assert runner.invoke(main, ["--version"]).stdout.startswith("score-service, version ")


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("serve", ServeSettings),
        ("migrate", MigrateSettings),
        ("verify", StoreSettings),
        ("rebuild", StoreSettings),
    ],
)
def test_help_of_a_command_tells_every_setting(runner: CliRunner, command: str, kind: Any) -> None:
    shown = runner.invoke(main, [command, "--help"]).stdout
    for field in kind.model_fields:
        assert f" {variable(kind, field)}" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["dance"],
        ["serve", "--fast"],
        ["verify", "--redis-only"],
        ["verify", "no board"],
        ["rebuild"],
        ["rebuild", "main", "--all"],
        ["rebuild", "main", ""],
    ],
)
def test_wrong_usage_ends_with_2(runner: CliRunner, arguments: list[str]) -> None:
    assert runner.invoke(main, arguments).exit_code == 2


def test_faulty_settings_end_with_2_and_are_all_named(runner: CliRunner) -> None:
    given = {
        "SCORE_SERVICE_LISTEN": "nowhere",
        "SCORE_SERVICE_DATABASE_DSN": "postgresql://role:hunter2@db/laurel",
    }
    ended = runner.invoke(main, ["serve"], env=given)
    assert ended.exit_code == 2
    assert [line.split(": ")[0] for line in ended.stderr.splitlines()] == [
        "SCORE_SERVICE_DATABASE_DSN",
        "SCORE_SERVICE_REDIS_URL",
        "SCORE_SERVICE_LISTEN",
        "SCORE_SERVICE_TLS_CERTIFICATE_FILE",
        "SCORE_SERVICE_TLS_KEY_FILE",
        "SCORE_SERVICE_TLS_CA_FILE",
        "SCORE_SERVICE_POLICY_FILE",
    ]
    assert "hunter2" not in ended.output


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["verify"], ["SCORE_SERVICE_DATABASE_DSN", "SCORE_SERVICE_REDIS_URL"]),
        (["verify", "--record-only"], ["SCORE_SERVICE_DATABASE_DSN"]),
        (["rebuild", "--all"], ["SCORE_SERVICE_DATABASE_DSN", "SCORE_SERVICE_REDIS_URL"]),
    ],
)
def test_commands_on_boards_want_their_stores(
    runner: CliRunner, arguments: list[str], missing: list[str]
) -> None:
    ended = runner.invoke(main, arguments)
    assert ended.exit_code == 2
    assert [line.split(": ")[0] for line in ended.stderr.splitlines()] == missing


def test_a_database_that_is_away_ends_a_migration_with_1() -> None:
    ended = run("migrate", SCORE_SERVICE_MIGRATION_DSN="postgresql://nobody@127.0.0.1:1/laurel")
    assert ended.returncode == 1
    assert "127.0.0.1" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_migrating_again_changes_nothing(database: Database) -> None:
    login = database.logins["score_owner"]
    ended = run(
        "migrate",
        SCORE_SERVICE_MIGRATION_DSN=login.url,
        SCORE_SERVICE_MIGRATION_PASSWORD_FILE=str(login.password_file),
    )
    assert ended.returncode == 0
    with psycopg.connect(database.admin_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM score.alembic_version").fetchone() == (1,)
