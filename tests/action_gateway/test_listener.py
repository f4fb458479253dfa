"""What every accepted connection has."""

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2 as httpx
import pytest
from starlette.applications import Starlette

from action_gateway.listener import listen
from action_gateway.settings import Address


@asynccontextmanager
async def accepted_socket() -> AsyncIterator[socket.socket]:
    """Give the server's end of a connection."""
    address = Address("127.0.0.1", 0)
    async with (
        listen(Starlette(), address, max_connections=10, stop_seconds=1) as listener,
        httpx.AsyncClient(base_url=f"http://{listener.address}") as client,
    ):
        await client.get("/")
        (protocol,) = listener.server_state.connections
        connection: Any = protocol
        yield connection.transport.get_extra_info("socket")


async def test_the_body_of_an_answer_does_not_wait_for_its_head_to_be_acknowledged() -> None:
    async with accepted_socket() as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(sys.platform != "linux", reason="the option is known on Linux only")
async def test_a_peer_that_never_reads_is_given_up() -> None:
    async with accepted_socket() as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
