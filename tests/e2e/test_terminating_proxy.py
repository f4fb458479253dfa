"""A proxy between callers and the score service that terminates TLS, as it must not."""

import asyncio
from typing import Final

import pytest
from tests.fixtures.network.reverse_proxies import StartReverseProxy
from tests.fixtures.services.stack import Stack

from score_client import UnavailableError

TERMINATING: Final = {
    "frontend score\n    mode tcp\n    bind :50051": (
        "frontend score\n    mode http\n    bind :50051 ssl crt /etc/laurel/public/tls.pem alpn h2"
    ),
    "backend score_service\n    mode tcp": "backend score_service\n    mode http",
    "score-service:50051 check inter 2s": "score-service:50051 ssl verify none alpn h2",
}
"""Of HAProxy."""


async def test_a_caller_behind_a_proxy_without_a_certificate_of_its_own_is_not_served(
    stack: Stack, start_reverse_proxy: StartReverseProxy
) -> None:
    service = await stack.start_score_service()
    proxy = start_reverse_proxy("haproxy", score_service=service.addresses["grpc"], changed=TERMINATING)
    async with stack.client(proxy.target) as client, asyncio.timeout(60):
        with pytest.raises(UnavailableError, match="RST_STREAM"):
            await client.list_standings(board_id="main")
