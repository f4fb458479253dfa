"""The commands, as they are typed."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from tests.fixtures.servers.postgres import Database
from tests.fixtures.services.gateway import add_signing_key

from action_gateway.__main__ import main
from action_gateway.actions.catalog import read_catalog
from action_gateway.issuers.key_set import parse_key_set
from action_gateway.store.store import Store
from service_runtime.postgres.pool import PoolSettings

Command = Callable[..., Result]
ACTIONS = """
[[action]]
action_id = "a1"
title = "One"
prompt = "?"
answer = "1"
points = 10
repeat = "once"
min_seconds = 0
"""


@pytest.fixture
def command() -> Command:
    """Return a function that runs a command to its end."""

    def run(*arguments: str, **settings: str) -> Result:
        environment = {f"ACTION_GATEWAY_{name.upper()}": value for name, value in settings.items()}
        return CliRunner(env=environment).invoke(main, arguments, prog_name="action-gateway")

    return run


@pytest.fixture
def owner(database: Database) -> dict[str, str]:
    login = database.logins["gateway_owner"]
    return {"migration_dsn": login.url, "migration_password_file": str(login.password_file)}


@pytest.fixture
def runtime(database: Database) -> dict[str, str]:
    login = database.logins["gateway_runtime"]
    return {"database_dsn": login.url, "database_password_file": str(login.password_file)}


def fetch(database: Database, statement: str) -> list[tuple[object, ...]]:
    """Read some rows."""
    with psycopg.connect(database.gateway_owner_dsn) as connection:
        return connection.execute(statement.encode()).fetchall()


def test_help_lists_the_commands(command: Command) -> None:
    result = command("--help")

    assert result.exit_code == 0
    for name in (
        "serve",
        "migrate",
        "load-actions",
        "add-user",
        "delete-user",
        "grant",
        "revoke",
        "ticket-keys",
    ):
        assert name in result.stdout
        assert command(name, "--help").exit_code == 0


def test_the_version_is_the_projects(command: Command) -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    version = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]

    assert version in command("--version").stdout


@pytest.mark.parametrize(
    "name",
    [
        ("serve",),
        ("migrate",),
        ("load-actions", "x"),
        ("add-user", "ada"),
        ("delete-user", "ada"),
        ("grant", "ada", "moderator"),
    ],
)
def test_all_setup_errors_are_reported_at_once_with_exit_code_2(
    command: Command, name: tuple[str, ...]
) -> None:
    result = command(*name)

    assert result.exit_code == 2
    assert "ACTION_GATEWAY_" in result.stderr
    assert "is not set" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_module_is_the_command() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "action_gateway", "migrate"], capture_output=True, text=True, check=False
    )

    assert result.returncode == 2
    assert result.stderr == "ACTION_GATEWAY_MIGRATION_DSN: is not set\n"


def test_an_unknown_command_is_a_usage_error(command: Command) -> None:
    assert command("dance").exit_code == 2


def test_migrate_can_be_run_again(command: Command, owner: dict[str, str]) -> None:
    result = command("migrate", **owner)

    assert (result.exit_code, result.stderr) == (0, "")


def test_an_unavailable_database_is_reported_in_one_line(
    command: Command, free_port: Callable[[], int]
) -> None:
    dsn = f"postgresql://gateway_owner@127.0.0.1:{free_port()}/laurel"
    result = command("migrate", migration_dsn=dsn)

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the database: ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["migrate", "load-actions"])
def test_a_host_that_cannot_be_resolved_is_named(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = tmp_path / "actions.toml"
    file.write_text(ACTIONS, encoding="utf-8")
    monkeypatch.setenv("PGHOST", "nowhere.invalid")
    arguments = [str(file)] if name == "load-actions" else []
    result = command(name, *arguments, migration_dsn="user=gateway_owner")

    assert result.exit_code == 1
    assert "failed to resolve host 'nowhere.invalid'" in result.stderr


def test_actions_are_loaded_from_a_file(
    command: Command, owner: dict[str, str], database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "actions.toml"
    file.write_text(ACTIONS, encoding="utf-8")
    result = command("load-actions", str(file), **owner)

    assert (result.exit_code, result.stderr) == (0, "")
    assert fetch(database, "SELECT action_id, points FROM gateway.action") == [("a1", 10)]


def test_loading_warns_of_answers_that_cannot_be_typed_without_showing_them(
    command: Command, owner: dict[str, str], database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "actions.toml"
    file.write_text(ACTIONS.replace('"1"', '"p\\u0430ris-x"'), encoding="utf-8")
    result = command("load-actions", str(file), **owner)

    assert result.exit_code == 0
    assert "answer_doubtful" in result.output
    assert '"action_id":"a1"' in result.output
    assert "ris-x" not in result.output
    assert fetch(database, "SELECT action_id FROM gateway.action") == [("a1",)]


def test_loading_warns_of_units_that_cannot_be_typed(
    command: Command, owner: dict[str, str], database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "actions.toml"
    numeric = 'numeric = {value = 1, units = ["m", "\ue000", "\u043ag"]}'
    file.write_text(ACTIONS.replace('answer = "1"', numeric), encoding="utf-8")
    result = command("load-actions", str(file), **owner)

    assert result.exit_code == 0, result.output
    doubtful = [json.loads(line) for line in result.output.splitlines() if "answer_doubtful" in line]
    assert [(line["action_id"], line["unit"]) for line in doubtful] == [("a1", 2), ("a1", 3)]
    assert fetch(database, "SELECT action_id FROM gateway.action") == [("a1",)]


def test_a_faulty_file_changes_nothing(
    command: Command, owner: dict[str, str], database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "actions.toml"
    file.write_text(ACTIONS + ACTIONS.replace("once", "twice"), encoding="utf-8")
    result = command("load-actions", str(file), **owner)

    assert result.exit_code == 2
    assert "action 2 repeat" in result.stderr
    assert fetch(database, "SELECT 1 FROM gateway.action") == []


def test_the_sample_actions_can_be_loaded() -> None:
    sample = Path(__file__).parents[2] / "src" / "local_stack" / "actions.toml"
    actions = {action.action_id: action for action in read_catalog(sample)}

    puzzle = actions["puzzle_123"]
    assert (puzzle.points, puzzle.all_answers, puzzle.repeat, puzzle.min_seconds) == (
        10,
        ["ABC"],
        "unlimited",
        1,
    )
    assert len(actions) >= 6
    assert {action.repeat for action in actions.values()} == {"once", "daily", "unlimited"}


def test_a_user_is_added_with_a_password_from_a_file(
    command: Command, runtime: dict[str, str], database: Database, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("correct horse battery\n", encoding="utf-8")
    result = command("add-user", "Ada", "--password-file", str(tmp_path / "password"), **runtime)
    again = command("add-user", "ada", "--password-file", str(tmp_path / "password"), **runtime)

    assert (result.exit_code, result.stderr) == (0, "")
    assert fetch(database, "SELECT user_id, username FROM gateway.account") == [
        (result.stdout.strip(), "Ada")
    ]
    assert again.exit_code == 1
    assert "taken" in again.stderr


def test_a_role_is_granted_and_revoked_by_the_owner_alone(
    command: Command, runtime: dict[str, str], owner: dict[str, str], database: Database, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("correct horse battery\n", encoding="utf-8")
    user_id = command("add-user", "Ada", "--password-file", str(tmp_path / "password"), **runtime).stdout
    granted = [command("grant", "ada", "moderator", **owner) for _ in range(2)]
    roles = fetch(database, "SELECT user_id, role FROM gateway.role")
    revoked = [command("revoke", "ADA", "moderator", **owner) for _ in range(2)]
    absent = command("grant", "bob", "moderator", **owner)
    login = {name.replace("database", "migration"): value for name, value in runtime.items()}
    forbidden = command("grant", "ada", "moderator", **login)

    assert [(one.exit_code, one.stdout) for one in granted + revoked] == [(0, user_id)] * 4
    assert roles == [(user_id.strip(), "moderator")]
    assert fetch(database, "SELECT 1 FROM gateway.role") == []
    assert (absent.exit_code, absent.stderr) == (1, "Error: there is no account of the name bob\n")
    assert (forbidden.exit_code, "permission denied" in forbidden.stderr) == (1, True)
    assert command("grant", "ada", "king", **owner).exit_code == 2


def test_a_user_is_deleted_by_name(
    command: Command, runtime: dict[str, str], database: Database, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("correct horse battery\n", encoding="utf-8")
    (tmp_path / "key").write_text("a key of the names\n", encoding="utf-8")
    runtime |= {"former_players": "hidden", "freed_name_key_file": str(tmp_path / "key")}
    added = command("add-user", "Ada", "--password-file", str(tmp_path / "password"), **runtime)
    result = command("delete-user", "ada", **runtime)
    again = command("delete-user", "ada", **runtime)
    taken = command("add-user", "Ada", "--password-file", str(tmp_path / "password"), **runtime)

    assert (result.exit_code, result.stdout) == (0, added.stdout)
    assert fetch(database, "SELECT count(*) FROM gateway.account") == [(0,)]
    assert fetch(database, "SELECT user_id, hides FROM gateway.departure") == [(added.stdout.strip(), True)]
    assert (again.exit_code, again.stderr) == (1, "Error: there is no account of the name ada\n")
    assert (taken.exit_code, "taken" in taken.stderr) == (1, True)


def test_accounts_are_changed_over_the_connections_that_the_settings_name(
    command: Command, runtime: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, open_store = list[PoolSettings](), Store.open

    def note(settings: PoolSettings) -> AbstractAsyncContextManager[Store]:
        opened.append(settings)
        return open_store(settings)

    monkeypatch.setattr(Store, "open", note)
    (tmp_path / "password").write_text("correct horse battery\n", encoding="utf-8")
    runtime |= {"prepare_threshold": "none", "database_connections": "3", "database_wait_seconds": "20"}

    command("add-user", "Ada", "--password-file", str(tmp_path / "password"), **runtime)
    command("delete-user", "ada", **runtime)

    limits = [(pool.prepare_threshold, pool.connections_max, pool.wait_seconds) for pool in opened]
    assert limits == [(None, 3, 20)] * 2


@pytest.mark.parametrize(("name", "password"), [("a", "correct horse battery"), ("ada", "short")])
def test_a_user_with_invalid_credentials_is_rejected(
    command: Command, runtime: dict[str, str], database: Database, tmp_path: Path, name: str, password: str
) -> None:
    (tmp_path / "password").write_text(password, encoding="utf-8")
    result = command("add-user", name, "--password-file", str(tmp_path / "password"), **runtime)

    assert result.exit_code == 2
    assert password not in result.stderr
    assert fetch(database, "SELECT 1 FROM gateway.account") == []


def test_ticket_keys_prints_the_key_set_of_an_issuer(command: Command, tmp_path: Path) -> None:
    key = add_signing_key(tmp_path)
    result = command("ticket-keys", str(tmp_path / "1.pem"))
    rejected = command("ticket-keys", str(tmp_path / "2.pem"))

    assert result.exit_code == 0
    [published] = parse_key_set(result.stdout).values()
    assert published.public == key.public_key()
    assert rejected.exit_code != 0
    assert "2.pem" in rejected.output
