"""A player's way through the whole stack, each service a process of its own."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import httpx2 as httpx
import psycopg
import pytest
from tests.fixtures.clients.browser import PASSWORD, edge, first_position, first_score, join, receive_event
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.stack import Stack, target_of

from score_client import NotFoundError, ScoreClient


async def test_player_registers_solves_and_everyone_sees_it(stack: Stack) -> None:
    service = await stack.start_score_service()
    gateway = await stack.start_gateway(target_of(service))
    async with edge(gateway.addresses["http"]) as http:
        ada, bob = await join(http, "ada"), await join(http, "bob")
        async with (
            ada.socket() as adas,
            bob.socket() as bobs,
            aclosing(ada.events()) as events,
            asyncio.timeout(60),
        ):
            initial = await receive_event(bobs, "leaderboard:initial")
            assert initial == {"leaderboard": [], "me": {"score": 0, "rank": None}, "period": None}
            assert (await anext(events))[0] == "leaderboard:initial"

            listed = (await http.get("/actions", headers=ada.headers)).json()["actions"]
            assert "puzzle_123" in [action["actionId"] for action in listed]
            too_fast = await ada.complete(await ada.start("slow"), "word")
            assert (too_fast.status_code, too_fast.json()["code"]) == (422, "too_fast")
            token = await ada.start("puzzle_123")
            await asyncio.sleep(1.1)  # The action cannot honestly be done faster.
            done = await ada.complete(token, "abc ")

            assert done.status_code == 200, done.text
            assert done.json() == {
                "success": True,
                "pointsEarned": 10,
                "newTotalScore": 10,
                "newRank": 1,
            }
            row = {"rank": 1, "userId": ada.user_id, "username": "ada", "score": 10}
            update = await receive_event(bobs, "leaderboard:update")
            assert update == {"leaderboard": [row], "changedRanks": [1]}
            score = {"userId": ada.user_id, "newScore": 10, "newRank": 1}
            assert await receive_event(adas, "score:update") == score
            seen = {name: data async for name, _, data in take(events, 2)}
            assert seen["score:update"] == score
            assert seen["leaderboard:update"]["leaderboard"] == [row]

        again = await ada.complete(token, "ABC")
        assert (again.status_code, again.json()["code"]) == (409, "action_token_used")
        assert again.json()["award"] == {"pointsEarned": 10, "newTotalScore": 10, "newRank": 1}
        board = (await http.get("/leaderboard", headers=bob.headers)).json()
        assert board["entries"] == [row]
        assert board["revision"] == 1
        me = (await http.get("/leaderboard/me", headers=bob.headers)).json()["me"]
        assert me == {"rank": None, "userId": bob.user_id, "username": "bob", "score": 0}


async def take(
    events: AsyncIterator[tuple[str, str, Any]], count: int
) -> AsyncIterator[tuple[str, str, Any]]:
    """Give the next events, so many of them."""
    for _ in range(count):
        yield await anext(events)


async def test_stream_of_events_resumes_where_it_ended(stack: Stack) -> None:
    service = await stack.start_score_service()
    gateway = await stack.start_gateway(target_of(service))
    async with (
        edge(gateway.addresses["http"]) as http,
        stack.client(target_of(service)) as client,
        asyncio.timeout(60),
    ):
        ada = await join(http, "ada")

        async def award() -> None:
            await client.award(
                board_id="main", user_id=ada.user_id, points=5, action_type="quest", action_id="q1"
            )

        await award()
        async with aclosing(ada.events()) as events:
            # Until the gateway has seen the first award, there is no position to resume from.
            position = await first_position(events)
        await award()
        async with aclosing(ada.events(position)) as events:
            score = await first_score(events)

    assert score == {"userId": ada.user_id, "newScore": 10, "newRank": 1}


async def test_completion_whose_answer_is_lost_between_gateway_and_service_still_succeeds(
    stack: Stack, start_proxy: Callable[[str], Awaitable[Proxy]]
) -> None:
    service = await stack.start_score_service()
    proxy = await start_proxy(service.addresses["grpc"])
    gateway = await stack.start_gateway(f"dns:///localhost:{proxy.port}")
    async with edge(gateway.addresses["http"]) as http, asyncio.timeout(60):
        ada = await join(http, "ada")
        token = await ada.start("quick")
        await ada.complete(await ada.start("quick"), "no")  # The connection is up and has been used.
        proxy.hold_replies()
        completing = asyncio.create_task(ada.complete(token, "yes"))
        async with stack.client(target_of(service)) as client:
            await eventually(partial(is_recorded, client, ada.user_id))
        proxy.reset()
        proxy.release()
        response = await completing

    assert response.status_code == 200, response.text
    assert response.json()["newTotalScore"] == 5


async def is_recorded(client: ScoreClient, user_id: str) -> bool:
    """Return whether the board has an award of the user."""
    try:
        await client.get_standing(board_id="main", user_id=user_id)
    except NotFoundError:
        return False
    return True


async def test_trace_reaches_the_ledger_and_both_logs_and_secrets_no_log(
    stack: Stack, database: Database
) -> None:
    service = await stack.start_score_service()
    gateway = await stack.start_gateway(target_of(service))
    trace_id, request_id = uuid.uuid4().hex, str(uuid.uuid4())
    async with edge(gateway.addresses["http"]) as http:
        ada = await join(http, "ada")
        token = await ada.start("quick")
        traced = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01", "x-request-id": request_id}
        response = await ada.complete(token, "yes", **traced)

    assert response.status_code == 200
    assert response.headers["x-request-id"] == request_id

    async def is_logged() -> bool:  # The line comes after the answer.
        return request_id in gateway.log()

    await eventually(is_logged)
    assert trace_id in gateway.log()
    assert trace_id in service.log()
    with psycopg.connect(database.admin_dsn) as connection:
        ((in_ledger, made_by),) = connection.execute(
            "SELECT trace_id, request_id FROM score.award"
        ).fetchall()
    assert in_ledger == trace_id
    assert str(made_by) in service.log()
    for secret in (PASSWORD, ada.token, token):
        assert secret not in service.log() + gateway.log()


@pytest.mark.parametrize("package", ["score_service", "action_gateway"])
async def test_service_waits_for_stores_that_are_unavailable_and_says_which(
    stack: Stack, package: str
) -> None:
    service = await stack.start_without_stores(package)
    async with httpx.AsyncClient(timeout=60) as http:
        ready = await http.get(f"http://{service.addresses['admin']}/readyz")
        live = await http.get(f"http://{service.addresses['admin']}/livez")

    assert ready.status_code == 503
    assert live.status_code == 200
    assert service.stop() == 0
