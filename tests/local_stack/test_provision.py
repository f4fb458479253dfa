"""Provisioning makes roles and schemas, again and again."""

import psycopg
import pytest
from tests.fixtures.servers.postgres import Database

from local_stack.provision import derive_passwords, provision
from local_stack.servers.postgres import PostgresServer


def test_provisioning_again_changes_nothing(database: Database, postgres_server: PostgresServer) -> None:
    with psycopg.connect(database.admin_dsn) as connection:
        provision(connection, derive_passwords(postgres_server.password))
    with psycopg.connect(database.score_runtime_dsn) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("5s",)


def test_each_schema_belongs_to_its_owner(database: Database) -> None:
    with psycopg.connect(database.admin_dsn) as connection:
        rows = connection.execute(
            "SELECT nspname, nspowner::regrole::text FROM pg_namespace WHERE nspname IN ('score', 'gateway')"
        ).fetchall()
    assert dict(rows) == {"score": "score_owner", "gateway": "gateway_owner"}


@pytest.mark.parametrize("schema", ["score", "gateway"])
def test_a_runtime_role_cannot_make_tables(database: Database, schema: str) -> None:
    dsn = database.score_runtime_dsn if schema == "score" else database.gateway_runtime_dsn
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"CREATE TABLE {schema}.anything ()")
