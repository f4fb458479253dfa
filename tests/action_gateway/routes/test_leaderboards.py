"""The leaderboard over HTTP, WebSocket and event stream, with a real gateway and a real score service."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.fixtures.clients.realtime import EventReader, ServerSentEvent, receive
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.gateway import Gateway, Player, StartGateway
from tests.fixtures.services.score_service import ScoreService
from websockets.asyncio.client import ClientConnection, connect

from score_client.types import AwardResult


async def award(gateway: Gateway, user_id: str, points: int) -> AwardResult:
    """Give points past the actions."""
    return await gateway.running.parts.leaderboard._client.award(
        board_id="main", user_id=user_id, points=points, action_type="test", action_id="test"
    )


@asynccontextmanager
async def connected(gateway: Gateway, player: Player) -> AsyncIterator[ClientConnection]:
    url = gateway.url.replace("http", "ws") + "/api/v1/leaderboard/ws"
    async with connect(url, additional_headers=player.headers, proxy=None) as socket:
        yield socket


@asynccontextmanager
async def streaming(player: Player, last_event_id: str | None = None) -> AsyncIterator[EventReader]:
    headers = player.headers | ({"Last-Event-ID": last_event_id} if last_event_id else {})
    async with player.http.stream("GET", "/api/v1/leaderboard/events", headers=headers) as response:
        assert response.status_code == 200
        yield EventReader(response)


def row(rank: int | None, player: Player, score: int) -> dict[str, Any]:
    return {"rank": rank, "userId": player.user_id, "username": player.username, "score": score}


async def test_a_board_without_awards_is_empty(gateway: Gateway, player: Player) -> None:
    page = await player.get("/leaderboard")
    assert page.json() == {"entries": [], "revision": 0, "source": "cache", "period": None}
    mine = await player.get("/leaderboard/me")
    assert mine.json() == {
        "me": row(None, player, 0),
        "entries": [],
        "revision": 0,
        "source": "cache",
        "period": None,
    }


async def test_the_leaderboard_is_listed_page_by_page_with_names(gateway: Gateway) -> None:
    players = [await gateway.player() for _ in range(3)]
    for points, player in zip((30, 20, 10), players, strict=True):
        await award(gateway, player.user_id, points)
    await award(gateway, "stranger", 5)
    reader = players[0]
    first = (await reader.get("/leaderboard", params={"limit": 3})).json()
    assert first["entries"] == [row(1, players[0], 30), row(2, players[1], 20), row(3, players[2], 10)]
    assert (first["revision"], first["source"]) == (4, "cache")
    second = await reader.get("/leaderboard", params={"limit": 3, "pageToken": first["nextPageToken"]})
    assert second.json() == {
        "entries": [{"rank": 4, "userId": "stranger", "username": None, "score": 5}],
        "revision": 4,
        "source": "cache",
        "period": None,
    }


async def test_a_player_sees_its_neighbours(gateway: Gateway) -> None:
    players = [await gateway.player() for _ in range(5)]
    for points, player in zip((50, 40, 30, 20, 10), players, strict=True):
        await award(gateway, player.user_id, points)
    mine = (await players[2].get("/leaderboard/me", params={"radius": 1})).json()
    assert mine["me"] == row(3, players[2], 30)
    assert mine["entries"] == [row(2, players[1], 40), row(3, players[2], 30), row(4, players[3], 20)]
    alone = (await players[2].get("/leaderboard/me", params={"radius": 0})).json()
    assert alone["entries"] == [row(3, players[2], 30)]


async def test_a_player_without_an_award_on_a_board_with_some_has_score_zero(
    gateway: Gateway, player: Player
) -> None:
    await award(gateway, "stranger", 5)
    mine = (await player.get("/leaderboard/me")).json()
    assert mine == {
        "me": row(None, player, 0),
        "entries": [],
        "revision": 1,
        "source": "cache",
        "period": None,
    }


async def test_an_invalid_request_is_rejected(gateway: Gateway, player: Player) -> None:
    await award(gateway, player.user_id, 5)
    for path in (
        "/leaderboard?limit=0",
        "/leaderboard?limit=101",
        "/leaderboard?limit=ten",
        "/leaderboard?limit=9999999999999999999999",
        "/leaderboard?pageToken=nonsense",
        "/leaderboard?pageToken=%00",
        "/leaderboard?pageToken=%FF",
        "/leaderboard?pageToken=" + "x" * 2000,
        "/leaderboard/me?radius=-1",
        "/leaderboard/me?radius=51",
        "/leaderboard/me?radius=",
    ):
        response = await player.get(path)
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request"), path


@pytest.mark.parametrize("path", ["/leaderboard", "/leaderboard/me", "/leaderboard/events"])
async def test_the_leaderboard_is_for_players_only(gateway: Gateway, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        response = await gateway.http.get(f"/api/v1{path}?limit=0&radius=-1", headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


async def test_a_completed_action_reaches_all_subscribers(gateway: Gateway) -> None:
    ada, bob = await gateway.player("ada"), await gateway.player("bob")
    async with connected(gateway, ada) as mine, connected(gateway, bob) as others, streaming(ada) as stream:
        events = stream.events()
        for first in (await receive(mine), await receive(others), (await anext(events)).data):
            assert first["event"] == "leaderboard:initial"
            assert first["data"] == {"leaderboard": [], "me": {"rank": None, "score": 0}, "period": None}
        assert (await ada.complete(await ada.start("quick"))).status_code == 200
        update = {
            "event": "leaderboard:update",
            "revision": 1,
            "data": {"leaderboard": [row(1, ada, 5)], "changedRanks": [1]},
        }
        score = {
            "event": "score:update",
            "revision": 1,
            "data": {"userId": ada.user_id, "newScore": 5, "newRank": 1},
        }
        assert [await receive(mine), await receive(mine)] == [update, score]
        assert await receive(others) == update
        assert [(await anext(events)).data, (await anext(events)).data] == [update, score]


async def next_score(events: AsyncIterator[ServerSentEvent]) -> ServerSentEvent:
    async with asyncio.timeout(20):
        return await anext(event async for event in events if event.event == "score:update")


async def test_a_resumed_stream_receives_what_it_missed(gateway: Gateway, player: Player) -> None:
    await award(gateway, player.user_id, 10)
    async with streaming(player) as stream:
        position = (await stream.take(1))[0].id
    for points in (1, 2):
        await award(gateway, player.user_id, points)
    await award(gateway, "stranger", 5)
    async with streaming(player, position) as stream:
        events = stream.events()
        assert (await anext(events)).data["data"]["me"] == {"rank": 1, "score": 13}
        missed = await next_score(events)
        assert missed.data["data"] == {"userId": player.user_id, "newScore": 13, "newRank": 1}
        assert missed.id not in {None, position}
    async with streaming(player, missed.id) as stream:
        events = stream.events()
        assert (await anext(events)).event == "leaderboard:initial"
        await award(gateway, player.user_id, 4)
        assert (await next_score(events)).data["data"]["newScore"] == 17


async def test_a_stream_with_an_invalid_position_starts_over(gateway: Gateway, player: Player) -> None:
    await award(gateway, player.user_id, 10)
    for position in ("nonsense", "1-", "99-0123456789abcdef", "1-0123456789abcdef", "0" * 100):
        async with streaming(player, position) as stream:
            events = stream.events()
            initial = await anext(events)
            total = initial.data["data"]["me"]["score"]
            await award(gateway, player.user_id, 1)
            assert (await next_score(events)).data["data"]["newScore"] == total + 1


async def test_sockets_outlive_the_score_service_and_catch_up(
    start_score_service: Any, start_gateway: StartGateway, free_port: Any
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    service: ScoreService = await start_score_service(listen=listen)
    gateway = await start_gateway(score_target=service.target)
    player, late = await gateway.player(), await gateway.player()
    await award(gateway, player.user_id, 10)
    async with connected(gateway, player) as socket:
        assert (await receive(socket))["data"]["me"]["score"] == 10
        hurry = asyncio.Event()
        hurry.set()
        await service.running.stop(hurry)
        second: ScoreService = await start_score_service(listen=listen)
        await eventually(gateway.is_ready)
        assert second.target == service.target
        await award(gateway, player.user_id, 5)
        received = [await receive(socket), await receive(socket)]
        assert [one["event"] for one in received] == ["leaderboard:update", "score:update"]
        assert received[1]["data"]["newScore"] == 15
        async with connected(gateway, late) as another:
            assert json.loads(await another.recv())["data"]["me"]["score"] == 0
