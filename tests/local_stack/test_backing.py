"""Servers given by URL, made ready for the services."""

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.fixtures.postgres import Database

from local_stack.backing import Cache, Record
from local_stack.errors import ServerAwayError
from local_stack.ports import free_port
from local_stack.postgres import PostgresServer
from local_stack.valkey import ValkeyServer


def test_two_stacks_on_one_database_agree_on_the_passwords(database: Database) -> None:
    first, second = Record.prepare(database.admin_dsn), Record.prepare(database.admin_dsn)
    assert first == second
    for role, dsn in first.dsns.items():
        psycopg.connect(dsn, password=first.passwords[role]).close()


def test_no_dsn_has_a_password(database: Database) -> None:
    for role, dsn in Record.prepare(database.admin_dsn).dsns.items():
        parts = conninfo_to_dict(dsn)
        assert "password" not in parts
        assert (parts["user"], parts["dbname"]) == (role, database.name)


def test_databases_of_one_server_differ_in_identity(
    database: Database, postgres_server: PostgresServer
) -> None:
    other = Record.prepare(postgres_server.admin_url())
    assert Record.prepare(database.admin_dsn).identity != other.identity


def test_a_database_that_is_away_is_told(database: Database) -> None:
    with pytest.raises(ServerAwayError, match="DATABASE_URL"):
        Record.prepare(f"postgresql://postgres:secret@127.0.0.1:{free_port()}/laurel")


def test_the_password_is_taken_out_of_a_redis_url(valkey_server: ValkeyServer) -> None:
    cache = Cache.prepare(valkey_server.url())
    assert cache == Cache(valkey_server.url(with_password=False), valkey_server.password)


def test_a_user_name_stays_in_a_redis_url(valkey_server: ValkeyServer) -> None:
    cache = Cache.prepare(f"redis://default:{valkey_server.password}@127.0.0.1:{valkey_server.port}/0")
    assert cache.url == f"redis://default@127.0.0.1:{valkey_server.port}/0"


@pytest.mark.parametrize("url", ["redis://:wrong@127.0.0.1:{port}/0", "http://127.0.0.1:{port}"])
def test_a_redis_that_cannot_be_used_is_told_without_the_password(
    valkey_server: ValkeyServer, url: str
) -> None:
    with pytest.raises(ServerAwayError, match="REDIS_URL") as raised:
        Cache.prepare(url.format(port=valkey_server.port))
    assert "wrong@" not in str(raised.value)
