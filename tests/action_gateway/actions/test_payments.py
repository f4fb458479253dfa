"""Payments that the score service has archived, over HTTP: it tells that they were made, and no more."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from grpc import StatusCode
from tests.action_gateway.scripted_ledger import ScriptedLedger
from tests.fixtures.services.gateway import Gateway, Player, StartGateway

from conformance.server.scripted import ScriptedServer, reject
from local_stack.certificates import CertificateFiles


@pytest.fixture
async def server(server_certificate: CertificateFiles) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(server_certificate)
    ScriptedLedger().serve_by(server)
    server.script("AwardPoints", reject(StatusCode.ALREADY_EXISTS, "AWARD_ARCHIVED"))
    server.script("GetAward", reject(StatusCode.OUT_OF_RANGE, "HISTORY_ARCHIVED"))
    async with server:
        yield server


@pytest.fixture
async def gateway(start_gateway: StartGateway, server: ScriptedServer) -> Gateway:
    return await start_gateway(score_target=server.target)


def rejection(response: Any) -> tuple[int, str, bool]:
    """Return what a request failed with, and whether it has the first outcome."""
    body = response.json()
    return response.status_code, body["code"], "award" in body


async def test_an_action_that_pays_once_stays_completed(player: Player) -> None:
    actions = (await player.get("/actions")).json()["actions"]

    assert {one["actionId"] for one in actions if one["completed"]} == {"once", "daily", "check_in"}
    started = await player.post("/actions/start", {"actionId": "once"})
    assert rejection(started) == (409, "action_already_completed", False)
    performed = await player.post("/actions/perform", {"actionId": "check_in"})
    assert rejection(performed) == (409, "action_already_completed", False)


@pytest.mark.parametrize("key", [None, "a-key-of-the-client"])
async def test_a_token_that_was_paid_is_used_and_is_not_asked_for_again(
    player: Player, server: ScriptedServer, key: str | None
) -> None:
    completed = await player.complete(await player.start(), key=key)

    assert rejection(completed) == (409, "action_token_used", False)
    assert len(server.calls("AwardPoints")) == 1


async def test_a_token_that_was_paid_is_used_whatever_else_is_wrong(player: Player) -> None:
    token = await player.start()

    assert rejection(await player.complete(token, "no")) == (409, "action_token_used", False)
    assert rejection(await player.complete(token, "no", key="a-key")) == (409, "action_token_used", False)


async def test_a_ticket_that_was_paid_is_used(player: Player, server: ScriptedServer) -> None:
    performed = await player.perform()

    assert rejection(await player.redeem(performed)) == (409, "ticket_used", False)
    assert len(server.calls("AwardPoints")) == 1
    other = performed["result"] | {"data": "another"}
    assert rejection(await player.redeem(performed, result=other)) == (409, "ticket_used", False)


async def test_what_was_paid_with_other_points_and_archived_meanwhile_is_used(
    player: Player, server: ScriptedServer
) -> None:
    server.script("AwardPoints", reject(StatusCode.ALREADY_EXISTS, "AWARD_CONFLICT"))

    assert rejection(await player.complete(await player.start())) == (409, "action_token_used", False)
