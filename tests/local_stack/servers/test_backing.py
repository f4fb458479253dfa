"""Servers given by URL, made ready for the services."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.fixtures.servers.postgres import Database

from local_stack.errors import ServerUnavailableError
from local_stack.provision import derive_passwords
from local_stack.servers.backing import Cache, Record
from local_stack.servers.ports import HOST, free_port
from local_stack.servers.postgres import PostgresCluster, PostgresServer
from local_stack.servers.valkey import ValkeyServer


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


@pytest.fixture
def managed_server(tmp_path: Path) -> Iterator[PostgresServer]:
    """Start a server without Laurel's roles; `manager` may make them, but is no superuser."""
    server = PostgresCluster(tmp_path / "data", tmp_path / "log", durable=False).start()
    with psycopg.connect(server.admin_url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE manager LOGIN CREATEROLE PASSWORD 'secret'")
        connection.execute("CREATE DATABASE managed OWNER manager")
    yield server
    server.stop()


def test_an_administrator_need_not_be_a_superuser(managed_server: PostgresServer) -> None:
    url = managed_server.url("managed", "manager", "secret")
    record = Record.prepare(url)
    assert record == Record.prepare(url)
    for role, dsn in record.dsns.items():
        psycopg.connect(dsn, password=record.passwords[role]).close()


def test_missing_rights_of_the_administrator_are_reported_without_passwords(
    managed_server: PostgresServer,
) -> None:
    Record.prepare(managed_server.admin_url("managed"))
    expected = "DATABASE_URL cannot be set up: permission denied"
    with pytest.raises(ServerUnavailableError, match=expected) as raised:
        Record.prepare(managed_server.url("managed", "manager", "secret"))
    passwords = derive_passwords("secret").values()
    assert not any(password in str(raised.value) for password in passwords)
    assert not any(password in managed_server.child.log_path.read_text() for password in passwords)


def test_an_unavailable_database_is_reported(database: Database) -> None:
    with pytest.raises(ServerUnavailableError, match="DATABASE_URL"):
        Record.prepare(f"postgresql://postgres:secret@127.0.0.1:{free_port()}/laurel")


def test_the_password_is_taken_out_of_a_redis_url(valkey_server: ValkeyServer) -> None:
    cache = Cache.prepare(valkey_server.url())
    assert cache == Cache(valkey_server.url(with_password=False), valkey_server.password)


def test_a_user_name_stays_in_a_redis_url(valkey_server: ValkeyServer) -> None:
    cache = Cache.prepare(f"redis://default:{valkey_server.password}@127.0.0.1:{valkey_server.port}/0")
    assert cache.url == f"redis://default@127.0.0.1:{valkey_server.port}/0"


@pytest.mark.parametrize("url", ["redis://:wrong@127.0.0.1:{port}/0", "http://127.0.0.1:{port}"])
def test_an_unusable_redis_is_reported_without_the_password(valkey_server: ValkeyServer, url: str) -> None:
    with pytest.raises(ServerUnavailableError, match="REDIS_URL") as raised:
        Cache.prepare(url.format(port=valkey_server.port))
    assert "wrong@" not in str(raised.value)


def test_any_node_of_a_cluster_that_answers_will_do(valkey_server: ValkeyServer) -> None:
    login, nodes = f"user:{valkey_server.password}", f"{HOST}:{free_port()},{HOST}:{valkey_server.port}"
    with pytest.raises(ServerUnavailableError):
        Cache.prepare(f"redis+cluster://{login}@{nodes}")
    cache = Cache.prepare(f"redis+cluster://default:{valkey_server.password}@{nodes}")
    assert cache == Cache(f"redis+cluster://default@{nodes}", valkey_server.password)
