"""Instant actions and their tickets, over HTTP, with everything behind it."""

from typing import Any

import psycopg
import pytest
from tests.action_gateway.forgery import forge
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.postgres import Database
from tests.fixtures.services.gateway import ACTIONS, Gateway, Player, StartGateway
from tests.fixtures.services.score_service import ScoreService

from action_gateway.accounts.score_tickets import LEEWAY_SECONDS
from action_gateway.actions.catalog import replace_actions

AWARD = {"pointsEarned": 3, "newTotalScore": 3, "newRank": 1}


def code(response: Any) -> tuple[int, str]:
    """Return what a request failed with."""
    return response.status_code, response.json()["code"]


def ledger(database: Database) -> list[tuple[str, str, int]]:
    with psycopg.connect(database.admin_dsn) as connection:
        rows = connection.execute("SELECT action_type, action_id, points FROM score.award ORDER BY revision")
        return rows.fetchall()


async def test_a_performed_action_gives_a_ticket_that_pays_its_points(
    player: Player, database: Database
) -> None:
    performed = await player.perform(data={"mood": "good"})
    response = await player.redeem(performed)

    assert performed["message"] == "Done: Wave"
    assert performed["result"]["actionId"] == "wave"
    assert performed["result"]["data"] == {"mood": "good"}
    assert performed["expiresAt"].endswith("Z")
    assert response.status_code == 200
    assert response.json() == {
        "message": "The points are yours.",
        "status": "success",
        "scoreIncrease": 3,
        "newTotalScore": 3,
        "newRank": 1,
    }
    assert ledger(database) == [("instant", "wave", 3)]


async def test_a_ticket_is_redeemed_without_an_access_token_and_at_any_gateway(
    gateway: Gateway, player: Player, start_gateway: StartGateway, score_service: ScoreService
) -> None:
    other = await start_gateway(score_target=score_service.target)
    stranger = Player(other.http, "", "", "")

    assert (await stranger.redeem(await player.perform())).status_code == 200


@pytest.mark.parametrize(
    ("data", "as_sent_back"),
    [(1.0, 1), (100, 1e2), ({"b": 1, "a": "\u00e9"}, {"a": "\u00e9", "b": 1}), (-0.0, 0), (None, None)],
)
async def test_a_result_may_be_spelled_in_another_way(player: Player, data: Any, as_sent_back: Any) -> None:
    performed = await player.perform(data=data)
    result = performed["result"] | {"data": as_sent_back}

    assert (await player.redeem(performed, result=result)).status_code == 200


async def test_data_that_javascript_would_change_is_rejected(player: Player) -> None:
    response = await player.post("/actions/perform", {"actionId": "wave", "data": 2**53})

    assert code(response) == (422, "invalid_request")
    assert list(response.json()["fields"]) == ["body.data"]


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth > 1 else []


@pytest.mark.parametrize("data", ["x" * 16_300, nested(198)], ids=["long", "deep"])
async def test_data_whose_result_would_not_fit_in_a_score_update_is_rejected(
    player: Player, data: object
) -> None:
    response = await player.post("/actions/perform", {"actionId": "wave", "data": data})
    assert code(response) == (422, "invalid_request")
    assert list(response.json()["fields"]) == ["body.data"]


@pytest.mark.parametrize("data", ["x" * 15_000, nested(99)], ids=["long", "deep"])
async def test_data_whose_result_just_fits_is_redeemed(player: Player, data: object) -> None:
    assert (await player.redeem(await player.perform(data=data))).status_code == 200


async def test_the_list_tells_instant_actions_from_puzzles(player: Player) -> None:
    await player.redeem(await player.perform("check_in"))
    actions = {one["actionId"]: one for one in (await player.get("/actions")).json()["actions"]}

    assert (actions["quick"]["kind"], actions["wave"]["kind"]) == ("puzzle", "instant")
    assert (actions["wave"]["completed"], actions["check_in"]["completed"]) == (False, True)


async def test_a_puzzle_cannot_be_performed_and_an_instant_action_cannot_be_started(player: Player) -> None:
    performed = await player.post("/actions/perform", {"actionId": "quick"})
    started = await player.post("/actions/start", {"actionId": "wave"})

    assert code(performed) == code(started) == (404, "action_not_found")


async def test_a_daily_action_pays_once_a_day(player: Player) -> None:
    first, second = await player.perform("check_in"), await player.perform("check_in")
    await player.redeem(first)
    used = await player.redeem(second)
    again = await player.post("/actions/perform", {"actionId": "check_in"})

    assert code(used) == (409, "ticket_used")
    assert code(again) == (409, "action_already_completed")
    assert used.json()["award"] == again.json()["award"] == AWARD | {"pointsEarned": 4, "newTotalScore": 4}


async def test_an_action_has_a_rate_of_its_own(player: Player, database: Database) -> None:
    rare = [one.model_copy(update={"per_minute": 1}) for one in ACTIONS if one.action_id == "wave"]
    replace_actions(database.gateway_owner_dsn, None, [*ACTIONS[:5], *rare, ACTIONS[-1]])
    await player.perform()
    limited = await player.post("/actions/perform", {"actionId": "wave"})

    assert code(limited) == (429, "rate_limited")
    assert int(limited.headers["retry-after"]) >= 1
    await player.perform("check_in")


async def test_a_used_ticket_gets_its_first_outcome_whatever_else_is_wrong(
    gateway: Gateway, player: Player, database: Database
) -> None:
    performed = await player.perform()
    await player.redeem(performed)
    again = await player.redeem(performed)
    other = await player.redeem(performed, result={"points": 1000})
    gateway.clock.advance(3600)
    late = await player.redeem(performed)

    for response in (again, other, late):
        assert code(response) == (409, "ticket_used")
        assert response.json()["award"] == AWARD
    assert len(ledger(database)) == 1


async def test_another_result_is_rejected_and_uses_nothing_up(player: Player) -> None:
    performed = await player.perform()
    others: list[Any] = [None, {}, performed["result"] | {"points": 4}, "x", 2**60, [performed["result"]]]
    for result in others:
        assert code(await player.redeem(performed, result=result)) == (422, "ticket_data_mismatch")

    assert (await player.redeem(performed)).status_code == 200


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(10 + LEEWAY_SECONDS - 2, 200), (10 + LEEWAY_SECONDS + 1, 400), (1 - LEEWAY_SECONDS, 200)],
)
async def test_clocks_may_differ_by_five_seconds(
    gateway: Gateway, player: Player, seconds: float, expected: int
) -> None:
    performed = await player.perform()
    gateway.clock.advance(seconds)
    response = await player.redeem(performed)

    assert response.status_code == expected
    if expected == 400:
        assert code(response) == (400, "ticket_expired")


async def test_a_ticket_from_the_future_is_rejected(gateway: Gateway, player: Player) -> None:
    performed = await player.perform()
    gateway.clock.advance(-LEEWAY_SECONDS - 2)

    assert code(await player.redeem(performed)) == (401, "bad_ticket")


@pytest.mark.parametrize("token", ["x", "a.b.c", "=", "e30.e30.e30"])
async def test_text_that_is_no_token_is_rejected(player: Player, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    response = await player.http.post("/api/v1/score/update", json={"data": 1}, headers=headers)

    assert code(response) == (401, "bad_ticket")


async def test_a_tampered_ticket_is_rejected_and_counted(gateway: Gateway, player: Player) -> None:
    performed = await player.perform()
    forged = forge(performed["token"], points=1000)

    assert code(await player.redeem(performed, token=forged)) == (401, "bad_ticket")
    assert await gateway.metric("gateway_suspicions_total", signal="token_forged") == 1
    await player.redeem(performed, result=1)
    assert await gateway.metric("gateway_suspicions_total", signal="token_forged") == 2
    await player.redeem(performed)
    await player.redeem(performed)
    assert await gateway.metric("gateway_suspicions_total", signal="token_reused") == 1


async def test_the_ticket_is_looked_at_before_the_body(player: Player) -> None:
    response = await player.http.post("/api/v1/score/update", content=b"{")
    assert code(response) == (401, "bad_ticket")

    performed = await player.perform()
    headers = {"Authorization": f"Bearer {performed['token']}"}
    for body in ({}, {"data": performed["result"], "points": 1000}):
        response = await player.http.post("/api/v1/score/update", json=body, headers=headers)
        assert code(response) == (422, "invalid_request")


async def test_tickets_are_limited_by_user(start_gateway: StartGateway, score_service: ScoreService) -> None:
    gateway = await start_gateway(score_target=score_service.target, redeems_per_minute=1)
    player, other = await gateway.player(), await gateway.player()
    first, second = await player.perform(), await player.perform()
    await player.redeem(first)

    assert code(await player.redeem(second)) == (429, "rate_limited")
    assert code(await player.redeem(first)) == (409, "ticket_used")
    assert (await other.redeem(await other.perform())).status_code == 200


async def test_a_user_who_has_left_has_no_tickets(gateway: Gateway, player: Player) -> None:
    performed = await player.perform()
    gateway.running.parts.accounts._departed.add([player.user_id])

    assert code(await player.redeem(performed)) == (401, "bad_ticket")


class TestUnknownOutcomes:
    """With a score service that can be cut off."""

    @pytest.fixture
    async def proxy(self, score_service: ScoreService, start_proxy: Any) -> Proxy:
        proxy: Proxy = await start_proxy(str(score_service.running.grpc_address))
        return proxy

    @pytest.fixture
    async def gateway(self, start_gateway: StartGateway, proxy: Proxy) -> Gateway:
        return await start_gateway(score_target=f"dns:///localhost:{proxy.port}", score_timeout_seconds=1.5)

    async def test_a_ticket_that_came_in_time_is_paid_later(
        self, gateway: Gateway, player: Player, proxy: Proxy, database: Database
    ) -> None:
        redeemed, missed = await player.perform(), await player.perform()
        proxy.hold()
        unavailable = await player.redeem(redeemed)
        gateway.clock.advance(60)
        still = await player.redeem(redeemed)
        proxy.reset()
        proxy.release()
        other = await player.redeem(redeemed, result=1)
        paid = await player.redeem(redeemed)

        assert code(unavailable) == code(still) == (503, "unavailable")
        assert code(other) == (422, "ticket_data_mismatch")
        assert paid.status_code == 200 or code(paid) == (409, "ticket_used")
        assert code(await player.redeem(redeemed)) == (409, "ticket_used")
        assert code(await player.redeem(missed)) == (400, "ticket_expired")
        assert ledger(database) == [("instant", "wave", 3)]

    async def test_expiry_is_not_reported_for_a_ticket_that_may_have_been_paid(
        self, gateway: Gateway, player: Player, proxy: Proxy
    ) -> None:
        performed = await player.perform()
        await player.redeem(performed)
        gateway.clock.advance(60)
        proxy.hold()
        unavailable = await player.redeem(performed)
        proxy.release()

        assert code(unavailable) == (503, "unavailable")
        assert code(await player.redeem(performed)) == (409, "ticket_used")
