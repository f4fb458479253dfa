"""Migrations against a database that another version has migrated."""

import psycopg
import pytest
from tests.fixtures.postgres import Database

from score_service.record.migrate import MIGRATION
from service_runtime.settings import SetupError


def test_schema_newer_than_this_version_is_reported_and_left_alone(database: Database) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("UPDATE score.alembic_version SET version_num = '9999'")

    with pytest.raises(SetupError, match=r"cannot be upgraded.*9999"):
        MIGRATION.upgrade(database.score_owner_dsn, None)

    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        versions = connection.execute("SELECT version_num FROM score.alembic_version").fetchall()
    assert versions == [("9999",)]
