"""A Valkey server of our own, started and stopped for real."""

from pathlib import Path

import pytest
import redis

from local_stack.servers.valkey import ValkeyFolder, ValkeyServer


def test_data_outlives_the_server(tmp_path: Path) -> None:
    folder = ValkeyFolder(tmp_path / "valkey", tmp_path / "log")
    server = folder.start()
    try:
        with redis.Redis.from_url(server.url()) as client:
            client.set("note", "kept")
    finally:
        server.stop()
    assert server.child.exit_code == 0

    server = folder.start()
    try:
        with redis.Redis.from_url(server.url()) as client:
            assert client.get("note") == b"kept"
    finally:
        server.stop()


def test_connections_without_the_password_are_rejected(valkey_server: ValkeyServer) -> None:
    with (
        redis.Redis.from_url(valkey_server.url(with_password=False)) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_the_server_listens_on_the_loopback_interface_only_and_never_evicts(
    valkey_server: ValkeyServer,
) -> None:
    with redis.Redis.from_url(valkey_server.url(), decode_responses=True) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_the_password_is_in_no_command_line(valkey_server: ValkeyServer) -> None:
    words = Path(f"/proc/{valkey_server.child.process.pid}/cmdline").read_bytes()
    assert valkey_server.password.encode() not in words
