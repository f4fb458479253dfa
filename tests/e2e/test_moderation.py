"""Moderators and players who leave, before a real score service: what each of the others then sees."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.fixtures.clients.roles import grant
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.gateway import Gateway, Player, StartGateway
from tests.fixtures.services.score_service import ScoreService
from websockets.asyncio.client import ClientConnection, connect

REASON = "A leaked answer."


@pytest.fixture
async def moderator(gateway: Gateway) -> Player:
    moderator = await gateway.player("mod")
    await grant(gateway, moderator)
    return moderator


async def score(player: Player, times: int = 1) -> None:
    for _ in range(times):
        assert (await player.complete(await player.start())).status_code == 200


async def ranks(player: Player) -> list[tuple[str, int]]:
    """Read the leaderboard as a player sees it."""
    entries = (await player.get("/leaderboard")).json()["entries"]
    assert [entry["rank"] for entry in entries] == list(range(1, len(entries) + 1))
    return [(entry["username"], entry["score"]) for entry in entries]


async def me(player: Player) -> tuple[int, int | None, list[str]]:
    """Read the own place: the score, the rank, and who is around."""
    answer = (await player.get("/leaderboard/me")).json()
    around = [entry["username"] for entry in answer["entries"]]
    return answer["me"]["score"], answer["me"]["rank"], around


async def history(moderator: Player, player: Player) -> list[dict[str, Any]]:
    answer = await moderator.get(f"/moderation/awards?boardId=main&userId={player.user_id}")
    assert answer.status_code == 200, answer.text
    awards: list[dict[str, Any]] = answer.json()["awards"]
    return awards


async def see(moderator: Player, player: Player, visibility: str) -> None:
    """Set who may see a player."""
    body = {"boardId": "main", "userId": player.user_id, "visibility": visibility, "reason": REASON}
    answer = await moderator.post("/moderation/visibility", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["visibility"] == visibility


@asynccontextmanager
async def socket_of(gateway: Gateway, player: Player) -> AsyncIterator[ClientConnection]:
    url = gateway.url.replace("http", "ws") + "/api/v1/leaderboard/ws"
    async with connect(url, additional_headers=player.headers, proxy=None) as socket:
        await socket.recv()
        yield socket


async def receive_event(socket: ClientConnection, event: str) -> Any:
    """Wait for an event of a kind."""
    async with asyncio.timeout(30):
        while True:
            message = json.loads(await socket.recv())
            if message["event"] == event:
                return message["data"]


async def test_points_that_are_taken_back_are_gone_for_everyone(gateway: Gateway, moderator: Player) -> None:
    ada, bob = await gateway.player("ada"), await gateway.player("bob")
    await score(ada, 2)
    await score(bob)
    newest, oldest = await history(moderator, ada)
    named = {"awardId": newest["awardId"], "reversalId": str(uuid.uuid4())}
    body = {"boardId": "main", "reason": REASON, **named}
    async with socket_of(gateway, ada) as own, socket_of(gateway, bob) as other:
        reversed_once = (await moderator.post("/moderation/reversals", body)).json()
        assert (await receive_event(own, "score:update")) == {
            "userId": ada.user_id,
            "newScore": 5,
            "newRank": 1,
        }
        update = await receive_event(other, "leaderboard:update")
    assert [(row["username"], row["score"]) for row in update["leaderboard"]] == [("ada", 5), ("bob", 5)]
    assert (await moderator.post("/moderation/reversals", body)).json() == reversed_once | {"replayed": True}

    rest = {"awardId": oldest["awardId"], "reversalId": str(uuid.uuid4())}
    assert (await moderator.post("/moderation/reversals", body | rest)).status_code == 200
    assert await me(ada) == (0, None, [])
    assert await ranks(bob) == [("bob", 5)]
    rejected = await moderator.post("/moderation/reversals", body | {"reversalId": str(uuid.uuid4())})
    assert rejected.json()["reversal"]["reversalId"] == body["reversalId"]


async def test_who_is_hidden_is_seen_by_nobody_and_keeps_the_points(
    gateway: Gateway, moderator: Player
) -> None:
    ada, bob = await gateway.player("ada"), await gateway.player("bob")
    await score(ada, 2)
    await score(bob)
    async with socket_of(gateway, ada) as own, socket_of(gateway, bob) as other:
        await see(moderator, ada, "hidden")
        assert (await receive_event(own, "score:update"))["newRank"] is None
        update = await receive_event(other, "leaderboard:update")
    assert [row["username"] for row in update["leaderboard"]] == ["bob"]
    await score(ada)
    assert await me(ada) == (15, None, [])
    assert await me(bob) == (5, 1, ["bob"])
    assert await ranks(bob) == await ranks(ada) == [("bob", 5)]

    await see(moderator, ada, "shadowed")
    assert await me(ada) == (15, 1, ["ada", "bob"])
    assert await me(bob) == (5, 1, ["bob"])
    assert await ranks(bob) == [("bob", 5)]
    await see(moderator, ada, "visible")
    assert await ranks(bob) == [("ada", 15), ("bob", 5)]


async def test_all_awards_of_a_filter_are_taken_back_by_a_plan(gateway: Gateway, moderator: Player) -> None:
    ada, bob = await gateway.player("ada"), await gateway.player("bob")
    await score(ada, 3)
    await score(bob)
    body = {"boardId": "main", "filter": {"userId": ada.user_id, "actionId": "quick"}}
    plan = (await moderator.post("/moderation/reversals/plan", body)).json()
    assert (plan["awards"], plan["points"], plan["users"]) == (3, 15, 1)
    assert {move["username"]: (move["rankBefore"], move["rankAfter"]) for move in plan["moves"]} == {
        "ada": (1, None),
        "bob": (2, 1),
    }
    apply = body | {"planToken": plan["planToken"], "reason": REASON}
    applied = (await moderator.post("/moderation/reversals/apply", apply)).json()

    assert applied == {"reversed": 3, "done": True}
    assert await ranks(bob) == [("bob", 5)]
    reversals = [one["reversal"] for one in await history(moderator, ada)]
    assert {(one["reason"], one["onBehalfOf"]) for one in reversals} == {(REASON, moderator.user_id)}


async def test_who_leaves_takes_the_history_along_and_vanishes_from_the_board(
    start_gateway: StartGateway, score_service: ScoreService
) -> None:
    gateway = await start_gateway(score_target=score_service.target, former_players="hidden")
    credentials = {"username": "ada", "password": "correct horse battery"}
    await gateway.http.post("/api/v1/auth/register", json=credentials)
    login = (await gateway.http.post("/api/v1/auth/login", json=credentials)).json()
    ada = Player(gateway.http, login["user"]["userId"], "ada", login["accessToken"])
    bob = await gateway.player("bob")
    await score(ada, 2)
    await score(bob)
    exported = (await ada.get("/account/export")).json()
    assert [(one["boardId"], one["points"], one["total"]) for one in exported["awards"]] == [
        ("main", 5, 10),
        ("main", 5, 5),
    ]
    body = {"password": credentials["password"]}
    left = await gateway.http.request("DELETE", "/api/v1/account", headers=ada.headers, json=body)
    assert left.status_code == 204

    async def is_alone() -> bool:
        return await ranks(bob) == [("bob", 5)]

    await eventually(is_alone)
    assert (await me(bob))[:2] == (5, 1)
