"""The command: help that tells the settings, and exit codes that tell what went wrong."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from tests.fixtures.certificates import BACKEND_ID, SERVICE_ID
from tests.fixtures.secret_volume import SecretVolume
from tests.fixtures.servers.postgres import Database

from local_stack.certificates import CertificateAuthority, CertificateFiles
from local_stack.services import POLICY_FILE
from score_service.commands import main
from score_service.settings import (
    ArchiveSettings,
    CertificateSettings,
    MigrateSettings,
    RecordSettings,
    ServeSettings,
    StoreSettings,
)
from service_runtime.settings import variable


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


def test_no_garbage_is_collected_while_commands_are_imported() -> None:
    program = """
import gc, sys
from score_service.__main__ import main
began = []
gc.callbacks.append(lambda phase, _: began.append(phase))
try:
    sys.argv[1:] = ["--version"]
    main()
finally:
    print(len(began))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines()[-1] == "0", done


def test_help_and_version_are_printed(runner: CliRunner) -> None:
    assert "serve" in runner.invoke(main, ["--help"]).stdout
    assert runner.invoke(main, ["--version"]).stdout.startswith("score-service, version ")


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("serve", ServeSettings),
        ("migrate", MigrateSettings),
        ("verify", StoreSettings),
        ("rebuild", StoreSettings),
        ("boards apply", RecordSettings),
        ("ledger export", RecordSettings),
        ("ledger verify", RecordSettings),
        ("ledger archive", ArchiveSettings),
        ("certs check", CertificateSettings),
    ],
)
def test_help_of_a_command_lists_every_setting(runner: CliRunner, command: str, kind: Any) -> None:
    shown = runner.invoke(main, [*command.split(), "--help"]).stdout
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
        ["boards"],
        ["boards", "apply"],
        ["boards", "apply", "/nowhere"],
        ["verify", "--checkpoints", "/nowhere"],
        ["ledger"],
        ["ledger", "export", "main"],
        ["ledger", "export", "main", "/nowhere"],
        ["ledger", "export", "no board", "/"],
        ["ledger", "export", "main", "/", "--upto", "5"],
        ["ledger", "verify", "main", "/nowhere"],
        ["ledger", "archive", "/"],
        ["ledger", "archive", "/nowhere", "--older-than", "30"],
        ["ledger", "archive", "/", "no board", "--older-than", "30"],
        ["ledger", "archive", "/", "--older-than", "29"],
        ["ledger", "archive", "/", "--older-than", "30", "--forget-ids-after", "89"],
        ["ledger", "archive", "/", "--older-than", "90", "--forget-ids-after", "90"],
        ["ledger", "archive", "/", "--older-than", "30", "--rows-per-second", "0"],
        ["certs"],
        ["certs", "check", "/nowhere"],
        ["certs", "check", "--key", "key.pem"],
        ["certs", "check", ".", "--as", "proxy"],
        ["certs", "check", ".", "--policy", "policy.toml"],
    ],
)
def test_wrong_usage_ends_with_2(runner: CliRunner, arguments: list[str]) -> None:
    assert runner.invoke(main, arguments).exit_code == 2


def test_faulty_settings_end_with_2_and_are_all_named(runner: CliRunner) -> None:
    given = {
        "SCORE_SERVICE_LOG_LEVEL": "loud",
        "SCORE_SERVICE_LISTEN": "nowhere",
        "SCORE_SERVICE_DATABASE_DSN": "postgresql://role:hunter2@db/laurel",
    }
    ended = runner.invoke(main, ["serve"], env=given)
    assert ended.exit_code == 2
    assert [line.split(": ")[0] for line in ended.stderr.splitlines()] == [
        "SCORE_SERVICE_LOG_LEVEL",
        "SCORE_SERVICE_DATABASE_DSN",
        "SCORE_SERVICE_REDIS_URL",
        "SCORE_SERVICE_TLS_CERTIFICATE_FILE",
        "SCORE_SERVICE_TLS_KEY_FILE",
        "SCORE_SERVICE_TLS_CA_FILE",
        "SCORE_SERVICE_LISTEN",
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


def test_a_database_that_is_unavailable_ends_a_migration_with_1() -> None:
    ended = run("migrate", SCORE_SERVICE_MIGRATION_DSN="postgresql://nobody@127.0.0.1:1/laurel")
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: the database: ")
    assert "127.0.0.1" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_migration_names_the_host_that_it_cannot_resolve() -> None:
    ended = run("migrate", SCORE_SERVICE_MIGRATION_DSN="user=score_owner", PGHOST="nowhere.invalid")
    assert ended.returncode == 1
    assert "failed to resolve host 'nowhere.invalid'" in ended.stderr


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


def test_certificates_of_a_folder_are_explained(
    runner: CliRunner, backend_certificate: CertificateFiles, authority: CertificateAuthority, tmp_path: Path
) -> None:
    folder = tmp_path / "tls"
    SecretVolume(folder, backend_certificate)
    ended = runner.invoke(
        main, ["certs", "check", str(folder), "--as", "client", "--policy", str(POLICY_FILE)]
    )

    assert ended.exit_code == 0
    lines = ended.stdout.splitlines()
    assert f"certificate {folder}/tls.crt" in lines
    assert f"  ok       names {BACKEND_ID}" in lines
    assert f"key {folder}/tls.key" in lines
    assert "  ok       fits the certificate" in lines
    assert f"authorities {folder}/ca.crt" in lines
    assert f"policy {POLICY_FILE}" in lines
    assert "0 things wrong, " in lines[-1]


def test_the_certificates_of_the_settings_are_explained_where_none_are_named(
    runner: CliRunner, server_certificate: CertificateFiles
) -> None:
    given = {
        "SCORE_SERVICE_TLS_CERTIFICATE_FILE": str(server_certificate.certificate_file),
        "SCORE_SERVICE_TLS_KEY_FILE": str(server_certificate.key_file),
        "SCORE_SERVICE_TLS_CA_FILE": str(server_certificate.ca_file),
    }
    ended = runner.invoke(main, ["certs", "check"], env=given)

    assert ended.exit_code == 0
    assert f"names {SERVICE_ID}, localhost, 127.0.0.1" in ended.stdout
    assert runner.invoke(main, ["certs", "check"]).exit_code == 2


def test_what_is_wrong_with_certificates_ends_with_1(
    runner: CliRunner,
    server_certificate: CertificateFiles,
    backend_certificate: CertificateFiles,
    foreign_authority: CertificateAuthority,
    tmp_path: Path,
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("[[identity]]")
    folder = tmp_path / "tls"
    SecretVolume(folder, server_certificate)
    other = ["--key", str(backend_certificate.key_file), "--authorities", str(foreign_authority.ca_file)]
    ended = runner.invoke(
        main, ["certs", "check", str(folder), *other, "--as", "client", "--policy", str(policy)]
    )

    assert ended.exit_code == 1
    assert "  WRONG    is not the key of the certificate" in ended.stdout
    assert "has another key than the one that signed" in ended.stdout
    assert "  WRONG    policy.toml: identity[0].spiffe_id: is missing" in ended.stdout


def test_missing_files_are_explained(runner: CliRunner, tmp_path: Path) -> None:
    ended = runner.invoke(main, ["certs", "check", str(tmp_path)])

    assert ended.exit_code == 1
    assert ended.stdout.count("  WRONG    is empty or cannot be read") == 3
    assert ended.stdout.endswith("3 things wrong, 0 warnings\n")


def test_no_part_of_a_key_is_shown(
    runner: CliRunner, backend_certificate: CertificateFiles, authority: CertificateAuthority
) -> None:
    """Even where it stands in the wrong place."""
    key = str(backend_certificate.key_file)
    ended = runner.invoke(main, ["certs", "check", "--certificate", key, "--key", key, "--authorities", key])

    assert ended.exit_code == 1
    assert "holds a private key" in ended.stdout
    assert not set(backend_certificate.key_file.read_text().split()) & set(ended.output.split())
