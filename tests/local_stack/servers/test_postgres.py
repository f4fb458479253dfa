"""A PostgreSQL server of our own, started and stopped for real."""

from pathlib import Path

import psycopg
import pytest

from local_stack.provision import create_database
from local_stack.servers.postgres import PostgresCluster, PostgresServer


def test_data_outlives_the_server(tmp_path: Path) -> None:
    cluster = PostgresCluster(tmp_path / "postgres", tmp_path / "log")
    server = cluster.start()
    try:
        create_database(server.admin_url(), "kept")
        with psycopg.connect(server.admin_url("kept")) as connection:
            connection.execute("CREATE TABLE note AS SELECT 'kept' AS text")
    finally:
        server.stop()
    assert server.child.exit_code == 0

    server = cluster.start()
    try:
        create_database(server.admin_url(), "kept")
        with psycopg.connect(server.admin_url("kept")) as connection:
            assert connection.execute("SELECT text FROM note").fetchone() == ("kept",)
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
    finally:
        server.stop()


def test_incomplete_data_of_a_killed_start_is_recreated(tmp_path: Path) -> None:
    half_made = tmp_path / "postgres" / "data-18.unfinished"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18")
    server = PostgresCluster(tmp_path / "postgres", tmp_path / "log", durable=False).start()
    server.stop()
    assert not half_made.exists()


def test_connections_without_a_password_are_rejected(postgres_server: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgres_server.url("postgres", "postgres", "wrong"))


def test_the_server_listens_on_the_loopback_interface_only(postgres_server: PostgresServer) -> None:
    with psycopg.connect(postgres_server.admin_url()) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        assert connection.execute("SHOW unix_socket_directories").fetchone() == ("",)
