"""Players and callers behind the proxies that `deploy/proxies` configures."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx2 as httpx
import pytest
from tests.fixtures.clients.browser import PASSWORD, edge, first_position, first_score, join, receive_event
from tests.fixtures.network.reverse_proxies import PROXIES, StartReverseProxy
from tests.fixtures.services.stack import Stack, target_of

from score_client import AwardResult, ScoreClient, Snapshot, Update, WatchEvent

pytestmark = pytest.mark.parametrize("name", PROXIES)
TRUSTED = "127.0.0.1"


async def test_a_player_logs_in_scores_and_sees_it_on_both_kinds_of_streams(
    stack: Stack, start_reverse_proxy: StartReverseProxy, name: str
) -> None:
    service = await stack.start_score_service()
    gateway = await stack.start_gateway(target_of(service), trusted_proxies=TRUSTED)
    proxy = start_reverse_proxy(name, gateway=gateway.addresses["http"])
    async with edge(proxy.address, proxy.tls) as http, asyncio.timeout(90):
        ada = await join(http, "ada", proxy.tls)
        async with ada.socket() as socket, aclosing(ada.events()) as events:
            assert (await receive_event(socket, "leaderboard:initial"))["me"] == {"score": 0, "rank": None}
            assert (await anext(events))[0] == "leaderboard:initial"
            done = await ada.complete(await ada.start("quick"), "yes")
            assert done.json()["newTotalScore"] == 5
            score = {"userId": ada.user_id, "newScore": 5, "newRank": 1}
            assert await receive_event(socket, "score:update") == score
            position = await first_position(events)
        await ada.complete(await ada.start("quick"), "yes")
        async with aclosing(ada.events(position)) as events:
            assert (await first_score(events))["newScore"] == 10
        async with ada.socket() as socket:
            assert (await receive_event(socket, "leaderboard:initial"))["me"] == {"score": 10, "rank": 1}
        headers = (await http.get("/leaderboard", headers=ada.headers)).headers
        assert "strict-transport-security" in headers, "the gateway knows that the browser has HTTPS"


async def register(address: str, tls: ssl.SSLContext, source: str, username: str, **headers: str) -> int:
    """Register from an address of this machine, and return the status."""
    transport = httpx.AsyncHTTPTransport(verify=tls, local_address=source)
    async with httpx.AsyncClient(transport=transport, timeout=20) as http:
        credentials = {"username": username, "password": PASSWORD}
        url = f"https://{address}/api/v1/auth/register"
        return (await http.post(url, json=credentials, headers=headers)).status_code


async def test_each_client_has_a_limit_of_its_own_only_behind_a_trusted_proxy(
    stack: Stack, start_reverse_proxy: StartReverseProxy, name: str
) -> None:
    service = await stack.start_score_service()
    gateway = await stack.start_gateway(
        target_of(service), trusted_proxies=TRUSTED, registrations_per_minute=1
    )
    proxy = start_reverse_proxy(name, gateway=gateway.addresses["http"])
    sources = ("127.0.0.2", "127.0.0.3", "127.0.0.2")
    statuses = [
        await register(proxy.address, proxy.tls, source, f"player{number}")
        for number, source in enumerate(sources)
    ]
    assert statuses == [201, 201, 429]
    spoofed = {"X-Forwarded-For": "203.0.113.9"}
    assert await register(proxy.address, proxy.tls, "127.0.0.2", "spoofer", **spoofed) == 429

    other = await stack.start_gateway(
        target_of(service),
        trusted_proxies="10.0.0.0/8",
        registrations_per_minute=1,
        redis_prefix=f"{stack.gateway_settings['redis_prefix']}other:",
    )
    async with edge(other.addresses["http"]) as direct:
        for number, status in enumerate((201, 429)):
            credentials = {"username": f"direct{number}", "password": PASSWORD}
            headers = {"X-Forwarded-For": f"203.0.113.{number}"}
            told = await direct.post("/auth/register", json=credentials, headers=headers)
            assert told.status_code == status


async def test_a_backend_awards_and_watches_with_its_own_certificate(
    stack: Stack, start_reverse_proxy: StartReverseProxy, name: str
) -> None:
    service = await stack.start_score_service()
    proxy = start_reverse_proxy(name, score_service=service.addresses["grpc"])
    async with stack.client(proxy.target) as client, asyncio.timeout(60):
        await award(client)
        async with aclosing(client.watch(board_id="main", all_scores=True)) as events:
            assert isinstance(await anext(events), Snapshot)
            assert (await award(client)).total == 20
            update = await first_update(events)
    assert [(score.user_id, score.total) for score in update.scores] == [("ada", 20)]


async def award(client: ScoreClient) -> AwardResult:
    return await client.award(board_id="main", user_id="ada", points=10, action_type="quest", action_id="q1")


async def first_update(events: AsyncIterator[WatchEvent]) -> Update:
    """Wait for what changed."""
    async for event in events:
        if isinstance(event, Update):
            return event
    raise AssertionError
