"""What every accepted connection has."""

import socket
import sys
from typing import Any

import httpx2 as httpx
import pytest
from starlette.applications import Starlette

from action_gateway.listener import listen
from action_gateway.settings import Address


@pytest.mark.skipif(sys.platform != "linux", reason="the option is known on Linux only")
async def test_a_peer_that_never_reads_is_given_up() -> None:
    address = Address("127.0.0.1", 0)
    async with (
        listen(Starlette(), address, max_connections=10, stop_seconds=1) as listener,
        httpx.AsyncClient(base_url=f"http://{listener.address}") as client,
    ):
        await client.get("/")
        (protocol,) = listener.server_state.connections
        connection: Any = protocol
        accepted = connection.transport.get_extra_info("socket")

        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
