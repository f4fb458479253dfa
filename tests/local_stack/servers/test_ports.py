"""Ports: found free, checked, and tried again."""

import socket

import pytest

from local_stack.errors import PortInUseError, ServerFailedError
from local_stack.servers.ports import HOST, free_port, require_free, start_on_free_port


def test_a_port_in_use_is_reported_with_a_way_to_change_it() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"Port {port} is in use.*HTTP_PORT="):
            require_free(port, "HTTP_PORT")


def test_a_free_port_passes() -> None:
    require_free(free_port(), "HTTP_PORT")


def test_a_port_whose_last_connection_lingers_is_free() -> None:
    with socket.create_server((HOST, 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address) as client:
            accepted, _ = server.accept()
            accepted.close()
            client.recv(1)
    require_free(address[1], "HTTP_PORT")


def test_a_server_whose_port_is_taken_during_the_start_gets_another() -> None:
    tried: list[int] = []

    def start(port: int) -> str:
        tried.append(port)
        if len(tried) == 1:
            raise ServerFailedError("bind: Address already in use")
        return "running"

    assert start_on_free_port(start) == "running"
    assert len(set(tried)) == 2


def test_a_server_that_fails_otherwise_is_not_started_again() -> None:
    tried: list[int] = []

    def start(port: int) -> str:
        tried.append(port)
        raise ServerFailedError("out of memory")

    with pytest.raises(ServerFailedError, match="memory"):
        start_on_free_port(start)
    assert len(tried) == 1
