"""The schema, who may do what in it, and how it comes to be."""

import asyncio

import psycopg
import pytest
from psycopg import sql
from tests.fixtures.servers.postgres import Database

from action_gateway.store.migrate import MIGRATION
from action_gateway.store.store import REQUIRED_REVISION, Store
from service_runtime.errors import SetupError
from service_runtime.postgres.pool import PoolSettings


async def test_the_schema_has_the_revision_that_the_code_needs(database: Database) -> None:
    async with Store.open(PoolSettings(database.gateway_runtime_dsn)) as store:
        assert (await store.read_schema()).revision >= REQUIRED_REVISION


async def test_migrating_again_and_at_once_changes_nothing(database: Database) -> None:
    with psycopg.connect(database.gateway_owner_dsn) as connection:
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'gateway' ORDER BY 1"
        before = connection.execute(tables).fetchall()
        connection.rollback()
        migrations = [
            asyncio.to_thread(MIGRATION.upgrade, database.gateway_owner_dsn, None) for _ in range(3)
        ]
        await asyncio.gather(*migrations)
        assert connection.execute(tables).fetchall() == before


async def test_migrations_started_at_once_on_an_empty_schema_make_it_once(database: Database) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA gateway CASCADE")
        connection.execute("CREATE SCHEMA gateway AUTHORIZATION gateway_owner")
    await asyncio.gather(
        *(asyncio.to_thread(MIGRATION.upgrade, database.gateway_owner_dsn, None) for _ in range(3))
    )

    async with Store.open(PoolSettings(database.gateway_runtime_dsn)) as store:
        assert (await store.read_schema()).revision >= REQUIRED_REVISION


def test_schema_newer_than_this_version_is_reported_and_left_alone(database: Database) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("UPDATE gateway.alembic_version SET version_num = '9999'")

    with pytest.raises(SetupError, match=r"cannot be upgraded.*9999"):
        MIGRATION.upgrade(database.gateway_owner_dsn, None)

    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        versions = connection.execute("SELECT version_num FROM gateway.alembic_version").fetchall()
    assert versions == [("9999",)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE gateway.action SET points = 1000",
        "INSERT INTO gateway.action DEFAULT VALUES",
        "DELETE FROM gateway.action",
        "UPDATE gateway.account SET username = 'x'",
        "INSERT INTO gateway.role (user_id, role) VALUES ('x', 'moderator')",
        "UPDATE gateway.role SET role = role",
        "DELETE FROM gateway.departure",
        "UPDATE gateway.retired_token SET session_id = session_id",
        "UPDATE gateway.alembic_version SET version_num = '9999'",
        "TRUNCATE gateway.session",
        "CREATE TABLE gateway.mine ()",
        "SELECT * FROM score.award",
        "INSERT INTO score.award DEFAULT VALUES",
    ],
)
def test_the_runtime_role_may_do_no_more_than_it_needs(database: Database, statement: str) -> None:
    with (
        psycopg.connect(database.gateway_runtime_dsn) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(sql.SQL(statement))
