"""Tickets of outside issuers, over HTTP, with everything behind them."""

import asyncio
import base64
import hashlib
import json
import time
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.action_gateway.forgery import forge
from tests.fixtures.clients.outside_issuers import OutsideIssuer, replace_file, write_issuers
from tests.fixtures.logs import LogLines
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.gateway import Gateway, Player, StartGateway
from tests.fixtures.services.score_service import POLICY, ScoreService, StartScoreService

from action_gateway.accounts.score_tickets import LEEWAY_SECONDS
from action_gateway.issuers.rejections import EVENTS_A_SECOND
from action_gateway.request_context import add_request_fields
from score_client.tickets import TicketKey
from service_runtime.errors import SetupError


def code(response: Any) -> tuple[int, str]:
    """Return what a request failed with."""
    return response.status_code, response.json()["code"]


async def rejected(gateway: Gateway, issuer: str, reason: str) -> float:
    return await gateway.metric("gateway_tickets_rejected_total", issuer=issuer, reason=reason) or 0


def ledger(database: Database) -> list[tuple[str, str, str, int]]:
    with psycopg.connect(database.admin_dsn) as connection:
        rows = connection.execute(
            "SELECT action_type, action_id, user_id, points FROM score.award ORDER BY revision"
        )
        return rows.fetchall()


@pytest.fixture
async def gateway(start_gateway: StartGateway, score_service: ScoreService, issuers_file: Path) -> Gateway:
    return await start_gateway(score_target=score_service.target, ticket_issuers_file=issuers_file)


async def test_a_ticket_of_an_issuer_outside_pays_its_points_to_a_user_of_the_issuer(
    gateway: Gateway, player: Player, match_issuer: OutsideIssuer, database: Database
) -> None:
    response = await player.redeem(match_issuer.issue(points=50))

    assert response.status_code == 200
    assert response.json() == {
        "message": "The points are yours.",
        "status": "success",
        "scoreIncrease": 50,
        "newTotalScore": 50,
        "newRank": 1,
    }
    assert ledger(database) == [("ticket:match", "duel", "match:ada", 50)]


async def test_a_ticket_of_an_issuer_outside_pays_its_points_to_an_account(
    gateway: Gateway, player: Player, quiz_issuer: OutsideIssuer, database: Database
) -> None:
    assert (await player.redeem(quiz_issuer.issue(user_id=player.user_id))).status_code == 200
    assert ledger(database) == [("ticket:quiz", "duel", player.user_id, 10)]


async def test_an_account_that_is_unknown_or_gone_is_not_paid(
    gateway: Gateway, quiz_issuer: OutsideIssuer, database: Database
) -> None:
    credentials = {"username": "ada", "password": "correct horse battery"}
    for path in ("register", "login"):
        response = await gateway.http.post(f"/api/v1/auth/{path}", json=credentials)
    ada = Player(gateway.http, response.json()["user"]["userId"], "ada", response.json()["accessToken"])
    given = quiz_issuer.issue(user_id=ada.user_id)
    body = {"password": credentials["password"]}
    gone = await ada.http.request("DELETE", "/api/v1/account", json=body, headers=ada.headers)
    assert gone.status_code == 204

    for performed in (given, quiz_issuer.issue(user_id="nobody")):
        assert code(await ada.redeem(performed)) == (401, "bad_ticket")
    assert await rejected(gateway, "quiz", "unknown_user") == 2
    assert ledger(database) == []


async def test_a_used_ticket_gets_its_first_outcome_whatever_else_is_wrong(
    gateway: Gateway, player: Player, match_issuer: OutsideIssuer, database: Database
) -> None:
    performed = match_issuer.issue()
    await player.redeem(performed)
    again = await player.redeem(performed)
    other = await player.redeem(performed, result={"place": 2})
    gateway.clock.advance(3600)
    late = await player.redeem(performed)

    for response in (again, other, late):
        assert code(response) == (409, "ticket_used")
        assert response.json()["award"] == {"pointsEarned": 10, "newTotalScore": 10, "newRank": 1}
    assert len(ledger(database)) == 1


async def test_of_two_tickets_with_one_name_one_is_paid_and_an_issuer_has_its_names_for_itself(
    gateway: Gateway, player: Player, match_issuer: OutsideIssuer, quiz_issuer: OutsideIssuer
) -> None:
    named = {"ticket_id": "duel-1"}
    assert (await player.redeem(match_issuer.issue(**named))).status_code == 200
    assert code(await player.redeem(match_issuer.issue(**named, user_id="bob", points=7))) == (
        409,
        "ticket_used",
    )
    assert (await player.redeem(quiz_issuer.issue(**named, user_id=player.user_id))).status_code == 200


async def test_one_of_many_requests_at_two_gateways_is_paid(
    gateway: Gateway,
    player: Player,
    start_gateway: StartGateway,
    score_service: ScoreService,
    issuers_file: Path,
    match_issuer: OutsideIssuer,
    database: Database,
) -> None:
    other = await start_gateway(score_target=score_service.target, ticket_issuers_file=issuers_file)
    performed, wrong = match_issuer.issue(), {"result": {"place": 2}}
    players = [player, Player(other.http, "", "", "")]
    shows = [one.redeem(performed, **changes) for one in players * 4 for changes in ({}, wrong)]
    responses = await asyncio.gather(*shows)

    right, others = responses[::2], responses[1::2]
    assert sorted(one.status_code for one in right) == [200] + [409] * 7
    assert {code(one) for one in others} <= {(409, "ticket_used"), (422, "ticket_data_mismatch")}
    assert len(ledger(database)) == 1


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        # The time goes on until the gateway looks, on a busy machine by seconds.
        (LEEWAY_SECONDS - 2, 200),
        (LEEWAY_SECONDS + 30, 401),
        (-10, 200),
        (-10 - LEEWAY_SECONDS - 1, 400),
    ],
)
async def test_the_clock_of_an_issuer_may_differ_by_five_seconds(
    gateway: Gateway, player: Player, match_issuer: OutsideIssuer, seconds: float, expected: int
) -> None:
    match_issuer.clock.advance(seconds)
    response = await player.redeem(match_issuer.issue())

    assert response.status_code == expected
    if expected == 400:
        assert code(response) == (400, "ticket_expired")
    assert await rejected(gateway, "match", "not_yet") == (expected == 401)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"board_id": "other"}, "board"),
        ({"points": 51}, "points"),
        ({"lifetime_seconds": 11}, "lifetime"),
        ({"user_id": "x" * 123}, "user_id"),
    ],
)
async def test_what_an_issuer_may_not_give_is_rejected_and_makes_nobody_suspect(
    gateway: Gateway, player: Player, match_issuer: OutsideIssuer, changes: dict[str, Any], reason: str
) -> None:
    response = await player.redeem(match_issuer.issue(**changes))

    assert code(response) == (401, "bad_ticket")
    assert response.json()["detail"] == "A valid ticket is needed."
    assert await rejected(gateway, "match", reason) == 1
    assert await gateway.metric("gateway_suspicions_total", signal="token_forged") == 0


async def test_genuine_tickets_of_an_issuer_make_nobody_suspect(
    start_gateway: StartGateway, score_service: ScoreService, issuers_file: Path, match_issuer: OutsideIssuer
) -> None:
    gateway = await start_gateway(
        score_target=score_service.target, ticket_issuers_file=issuers_file, surge_points_per_minute=1
    )
    player = await gateway.player()
    performed = match_issuer.issue(points=50)
    await player.redeem(performed, result=1)
    await player.redeem(performed)
    await player.redeem(performed)

    for signal in ("token_forged", "token_reused", "points_surge"):
        assert await gateway.metric("gateway_suspicions_total", signal=signal) == 0


async def test_many_tickets_of_an_issuer_make_nobody_suspect_and_use_up_no_other_tickets(
    start_gateway: StartGateway,
    score_service: ScoreService,
    match_issuer: OutsideIssuer,
    quiz_issuer: OutsideIssuer,
) -> None:
    match_issuer.users = quiz_issuer.users = "accounts"
    file = match_issuer.folder / "ticket-issuers.toml"
    write_issuers(file, [match_issuer.entry(), quiz_issuer.entry()])
    gateway = await start_gateway(
        score_target=score_service.target, ticket_issuers_file=file, redeems_per_minute=1
    )
    player = await gateway.player()
    mine = player.user_id
    assert (await player.redeem(quiz_issuer.issue(user_id=mine))).status_code == 200
    limited = await player.redeem(quiz_issuer.issue(user_id=mine))
    assert code(limited) == (429, "rate_limited")
    assert int(limited.headers["retry-after"]) >= 1
    assert await gateway.metric("gateway_rate_limited_total", limit="redeem_outside") == 1
    assert await gateway.metric("gateway_suspicions_total", signal="rate_limited") == 0

    assert (await player.redeem(match_issuer.issue(user_id=mine))).status_code == 200
    assert (await player.redeem(await player.perform())).status_code == 200
    assert code(await player.redeem(await player.perform())) == (429, "rate_limited")
    assert await gateway.metric("gateway_suspicions_total", signal="rate_limited") == 1


async def test_forgeries_are_rejected_counted_and_suspicious(
    gateway: Gateway, player: Player, match_issuer: OutsideIssuer
) -> None:
    performed = match_issuer.issue()
    tampered = forge(performed["token"], points=50)
    stranger = match_issuer.issue(issuer="https://stranger.example.org")
    unpublished = match_issuer.issue(key=match_issuer.add_key())
    for token in (tampered, stranger["token"], unpublished["token"]):
        assert code(await player.redeem(performed, token=token)) == (401, "bad_ticket")

    assert await rejected(gateway, "match", "bad_signature") == 1
    assert await rejected(gateway, "unknown", "unknown_issuer") == 1
    assert await rejected(gateway, "match", "unknown_key") == 1
    assert await gateway.metric("gateway_suspicions_total", signal="token_forged") == 2
    assert (await player.redeem(performed)).status_code == 200


async def test_a_gateway_without_issuers_redeems_its_own_tickets_alone(
    start_gateway: StartGateway, score_service: ScoreService, match_issuer: OutsideIssuer
) -> None:
    gateway = await start_gateway(score_target=score_service.target)
    player = await gateway.player()

    assert code(await player.redeem(match_issuer.issue())) == (401, "bad_ticket")
    assert (await player.redeem(await player.perform())).status_code == 200


async def test_rejections_are_told_with_issuer_and_reason_and_not_without_end(
    gateway: Gateway, player: Player, match_issuer: OutsideIssuer, log_lines: LogLines
) -> None:
    lines = log_lines(add_request_fields)
    tickets = [match_issuer.issue(points=51) for _ in range(4 * EVENTS_A_SECOND)]
    began = time.monotonic()
    for performed in tickets:
        await player.redeem(performed)
    seconds = time.monotonic() - began
    told = [line for line in lines() if line["event"] == "ticket_rejected"]

    assert 1 <= len(told) <= EVENTS_A_SECOND * (seconds + 1)
    assert {(line["issuer"], line["reason"]) for line in told} == {("match", "points")}
    assert not any(performed["token"] in str(lines()) for performed in tickets)


async def test_a_key_is_added_and_removed_while_the_gateway_runs(
    gateway: Gateway, player: Player, match_issuer: OutsideIssuer
) -> None:
    first, second = match_issuer.keys[0], match_issuer.add_key()
    match_issuer.publish()

    async def is_paid(key: Any) -> bool:
        return (await player.redeem(match_issuer.issue(key=key))).status_code == 200

    async def is_rejected() -> bool:
        return not await is_paid(first)

    await eventually(lambda: is_paid(second))
    assert await is_paid(first)
    match_issuer.publish([second])
    await eventually(is_rejected)
    assert await is_paid(second)


async def test_a_faulty_file_is_shown_by_a_metric_and_changes_nothing(
    gateway: Gateway, player: Player, match_issuer: OutsideIssuer, issuers_file: Path
) -> None:
    async def is_faulty() -> bool:
        return await gateway.metric("gateway_ticket_issuers_faulty") == 1

    assert not await is_faulty()
    assert await gateway.metric("gateway_ticket_issuers") == 2
    replace_file(issuers_file, "[[issuer]]")
    await eventually(is_faulty)
    assert await gateway.metric("gateway_ticket_issuers") == 2
    assert (await player.redeem(match_issuer.issue())).status_code == 200


async def test_the_tickets_and_the_points_of_an_issuer_are_limited(
    start_gateway: StartGateway,
    score_service: ScoreService,
    match_issuer: OutsideIssuer,
    quiz_issuer: OutsideIssuer,
) -> None:
    quiz_issuer.users = "own"
    entries = [
        match_issuer.entry() | {"points_per_minute": 60},
        quiz_issuer.entry() | {"redeems_per_minute": 1},
    ]
    file = write_issuers(match_issuer.folder / "ticket-issuers.toml", entries)
    gateways = [
        await start_gateway(score_target=score_service.target, ticket_issuers_file=file) for _ in range(2)
    ]
    player, elsewhere = [await one.player() for one in gateways]
    paid = match_issuer.issue(points=50)
    assert (await player.redeem(paid)).status_code == 200
    for _ in range(3):
        assert code(await player.redeem(paid)) == (409, "ticket_used")
    assert (await player.redeem(quiz_issuer.issue())).status_code == 200

    for issuer, reason in ((match_issuer, "points_per_minute"), (quiz_issuer, "redeems_per_minute")):
        limited = await elsewhere.redeem(issuer.issue(points=20))
        assert code(limited) == (429, "rate_limited")
        assert int(limited.headers["retry-after"]) >= 1
        assert await rejected(gateways[1], issuer.name, reason) == 1
    assert (await elsewhere.redeem(match_issuer.issue(points=10))).status_code == 200
    assert await gateways[1].metric("gateway_suspicions_total", signal="rate_limited") == 0


async def test_gateways_with_other_limits_of_an_issuer_count_its_points_together(
    start_gateway: StartGateway, score_service: ScoreService, match_issuer: OutsideIssuer
) -> None:
    players = []
    for limit in (60, 100):
        file = match_issuer.folder / f"ticket-issuers-{limit}.toml"
        write_issuers(file, [match_issuer.entry() | {"points_per_minute": limit}])
        gateway = await start_gateway(score_target=score_service.target, ticket_issuers_file=file)
        players.append(await gateway.player())
    strict, generous = players
    assert (await strict.redeem(match_issuer.issue(points=50))).status_code == 200
    assert (await generous.redeem(match_issuer.issue(points=40))).status_code == 200
    assert code(await generous.redeem(match_issuer.issue(points=20))) == (429, "rate_limited")
    assert code(await strict.redeem(match_issuer.issue(points=1))) == (429, "rate_limited")
    assert (await generous.redeem(match_issuer.issue(points=10))).status_code == 200


async def test_points_that_the_policy_of_the_score_service_does_not_allow_are_a_fault_of_its_own(
    start_score_service: StartScoreService,
    start_gateway: StartGateway,
    issuers_file: Path,
    policy_file: Path,
    match_issuer: OutsideIssuer,
    database: Database,
) -> None:
    replace_file(policy_file, POLICY.replace("max_points = 1_000_000", "max_points = 20"))
    score_service = await start_score_service()
    gateway = await start_gateway(score_target=score_service.target, ticket_issuers_file=issuers_file)
    player = await gateway.player()
    response = await player.redeem(match_issuer.issue(points=21))

    assert code(response) == (502, "score_service_denied")
    assert response.json()["methods"] == ["score_api.v1.ScoreService/AwardPoints"]
    assert await rejected(gateway, "match", "score_service_denied") == 1
    assert (await player.redeem(match_issuer.issue(points=20))).status_code == 200
    assert len(ledger(database)) == 1


async def test_a_ticket_that_came_in_time_is_paid_later(
    score_service: ScoreService,
    start_proxy: Any,
    start_gateway: StartGateway,
    issuers_file: Path,
    match_issuer: OutsideIssuer,
    database: Database,
) -> None:
    proxy: Proxy = await start_proxy(str(score_service.running.grpc_address))
    target = f"dns:///localhost:{proxy.port}"
    gateway = await start_gateway(
        score_target=target, ticket_issuers_file=issuers_file, score_timeout_seconds=1.5
    )
    player = await gateway.player()
    redeemed, missed = match_issuer.issue(), match_issuer.issue()
    proxy.hold()
    unavailable = await player.redeem(redeemed)
    gateway.clock.advance(60)
    proxy.reset()
    proxy.release()
    paid = await player.redeem(redeemed)

    assert code(unavailable) == (503, "unavailable")
    assert paid.status_code == 200 or code(paid) == (409, "ticket_used")
    assert code(await player.redeem(redeemed)) == (409, "ticket_used")
    assert code(await player.redeem(missed)) == (400, "ticket_expired")
    assert len(ledger(database)) == 1


async def test_a_gateway_does_not_start_with_a_faulty_file(
    start_gateway: StartGateway, issuers_file: Path
) -> None:
    replace_file(issuers_file, "[[issuer]]")
    with pytest.raises(SetupError, match=r"ticket-issuers.toml: issuer\[0\].issuer: is missing"):
        await start_gateway(ready=False, score_target="dns:///localhost:1", ticket_issuers_file=issuers_file)


@pytest.mark.parametrize("kind", ["access", "action"])
async def test_a_gateway_does_not_start_where_an_issuer_has_a_key_of_its_own(
    start_gateway: StartGateway,
    issuers_file: Path,
    match_issuer: OutsideIssuer,
    gateway_settings: dict[str, Any],
    kind: str,
) -> None:
    match_issuer.publish([TicketKey.read(gateway_settings[f"{kind}_keys_dir"] / "1.pem")])
    with pytest.raises(SetupError, match="is one of this gateway"):
        await start_gateway(ready=False, score_target="dns:///localhost:1", ticket_issuers_file=issuers_file)


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


async def test_a_ticket_that_is_made_by_the_documentation_alone_is_redeemed(
    gateway: Gateway, player: Player, match_issuer: OutsideIssuer, database: Database
) -> None:
    key, now = match_issuer.keys[0], int(time.time())
    header = {"alg": "EdDSA", "typ": "score-ticket+jwt", "kid": key.key_id}
    claims = {
        "iss": "https://match.example.org",
        "aud": "laurel-score-ticket",
        "sub": "ada",
        "jti": "duel-4711-ada",
        "board": "main",
        "action": "duel",
        "points": 10,
        "digest": encode(hashlib.sha256(b'{"of":4,"place":1}').digest()),
        "iat": now,
        "nbf": now,
        "exp": now + 10,
    }
    signed = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}"
    token = f"{signed}.{encode(key.private.sign(signed.encode()))}"
    response = await player.redeem({"token": token, "result": {"place": 1, "of": 4}})

    assert response.status_code == 200
    named = uuid.uuid5(
        uuid.UUID("6c617572-656c-5e8d-9b1c-7469636b650a"), "25:https://match.example.org13:duel-4711-ada"
    )
    with psycopg.connect(database.admin_dsn) as connection:
        assert connection.execute("SELECT award_id FROM score.award").fetchall() == [(named,)]
