"""A real gateway behind a proxy that breaks connections, and a client of it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.fixtures.services.gateway import Gateway

from faults.network.proxy import Proxy
from faults.players.gateway_client import GatewayClient
from local_stack.services import issuer_settings
from local_stack.state import StateFolder


@pytest.fixture
async def proxy(gateway: Gateway, start_proxy: Callable[[str], Awaitable[Proxy]]) -> Proxy:
    return await start_proxy(gateway.url.removeprefix("http://"))


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[GatewayClient]:
    client = GatewayClient.to(f"http://127.0.0.1:{proxy.port}")
    async with client.http:
        yield client


@pytest.fixture
def issuers_file(tmp_path: Path) -> Path:
    """Return the file of a gateway that knows an outside issuer."""
    return Path(issuer_settings(StateFolder(tmp_path))["ACTION_GATEWAY_TICKET_ISSUERS_FILE"])
