"""What is suspected of whom, over HTTP with everything behind it: what is counted, and what the log says."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import ANY

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs
from tests.action_gateway.forgery import forge
from tests.fixtures.clients.realtime import Realtime, close_code
from tests.fixtures.clients.roles import grant
from tests.fixtures.logs import LogLines
from tests.fixtures.services.gateway import ACTIONS, Gateway, Player, StartGateway
from tests.fixtures.services.score_service import ScoreService

from action_gateway import errors
from action_gateway.actions.catalog import replace_actions
from action_gateway.edge.suspicions import EVENTS_A_SECOND, Signal, Suspicions
from action_gateway.limits.limits import LIMITS
from action_gateway.request_context import add_request_fields

PASSWORD = "correct horse battery"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(log_lines: LogLines) -> Lines:
    return log_lines(add_request_fields)


def suspicions(lines: Lines) -> list[dict[str, Any]]:
    return [line for line in lines() if line["event"] == "suspicion"]


async def counts(gateway: Gateway) -> dict[str, float]:
    """Return the signals that were seen, and how often."""
    found = {signal: await gateway.metric("gateway_suspicions_total", signal=signal) for signal in Signal}
    assert None not in found.values()
    return {str(signal): count for signal, count in found.items() if count}


async def post(gateway: Gateway, path: str, **body: str) -> dict[str, Any]:
    response = await gateway.http.post(f"/api/v1/auth/{path}", json=body)
    reported: dict[str, Any] = response.json()
    return reported


async def test_every_signal_counts_from_zero(gateway: Gateway) -> None:
    assert await counts(gateway) == {}
    assert {await gateway.metric("gateway_rate_limited_total", limit=limit) for limit in LIMITS} == {0}


async def test_wrong_answers_are_suspicious_and_have_a_signal_of_their_own_after_the_last_attempt(
    gateway: Gateway, player: Player, lines: Lines
) -> None:
    token = await player.start()
    for _ in range(6):
        await player.complete(token, "no idea, honestly")

    assert await counts(gateway) == {"wrong_answer": 5, "attempts_spent": 1}
    wrong, *_, spent = suspicions(lines)
    assert (wrong["signal"], wrong["level"], wrong["left_out"]) == ("wrong_answer", "info", 0)
    assert (wrong["user_id"], wrong["action_id"], wrong["address"]) == (player.user_id, "quick", "127.0.0.1")
    assert wrong["request_id"]
    assert wrong["trace_id"]
    assert spent["signal"] == "attempts_spent"
    assert "no idea" not in str(lines())


async def test_an_answer_that_is_too_fast_is_suspicious(
    gateway: Gateway, player: Player, lines: Lines
) -> None:
    await player.complete(await player.start("slow"), "word")

    assert await counts(gateway) == {"too_fast": 1}
    assert [(line["signal"], line["action_id"]) for line in suspicions(lines)] == [("too_fast", "slow")]


async def test_a_paid_token_is_suspicious_in_another_request(
    gateway: Gateway, player: Player, lines: Lines
) -> None:
    token = await player.start()
    await player.complete(token, key="k1")
    await player.complete(token, key="k1")
    assert await counts(gateway) == {}
    await player.complete(token, key="k2")
    await player.complete(token)

    assert await counts(gateway) == {"token_reused": 2}
    assert {line["level"] for line in suspicions(lines)} == {"info"}


async def test_a_repeated_request_that_was_never_paid_is_not_suspicious(
    gateway: Gateway, player: Player
) -> None:
    first, second = await player.start("once"), await player.start("once")
    await player.complete(first, "1")
    codes = [(await player.complete(second, "1", key="k1")).json()["code"] for _ in range(2)]

    assert codes == ["action_already_completed", "action_token_used"]
    assert await counts(gateway) == {}
    await player.complete(first, "1")
    assert await counts(gateway) == {"token_reused": 1}


async def test_foreign_and_forged_tokens_are_suspicious(
    gateway: Gateway, player: Player, lines: Lines
) -> None:
    token, thief = await player.start(), await gateway.player()
    await thief.complete(token)
    await thief.complete(forge(token, sub=thief.user_id))
    await thief.complete(thief.access_token)
    await replace(player, access_token=token).get("/actions")
    await replace(player, access_token=forge(player.access_token, sub=thief.user_id)).get("/actions")

    assert await counts(gateway) == {"token_foreign": 1, "token_forged": 2, "access_token_forged": 2}
    foreign, *forged = suspicions(lines)
    assert (foreign["user_id"], foreign["action_id"]) == (thief.user_id, "quick")
    assert {line["level"] for line in (foreign, *forged)} == {"warning"}
    assert [line.get("user_id") for line in forged] == [thief.user_id, thief.user_id, None, None]


async def test_errors_of_honest_clients_are_not_suspicious(gateway: Gateway, player: Player) -> None:
    token = await player.start()
    for nothing in ("", "rubbish", "a.b.c", "\u00fc"):
        await replace(player, access_token="x").complete(nothing)
        await player.complete(nothing)
    await gateway.http.get("/api/v1/actions")
    await post(gateway, "refresh", refreshToken="A" * 43)
    await player.post("/actions/start", {"actionId": "nothing"})
    gateway.clock.advance(1000)
    await player.complete(token)
    await gateway.as_player(player.user_id).complete(token)

    assert await counts(gateway) == {}


async def test_a_reused_refresh_token_is_suspicious_only_after_the_grace_period(
    gateway: Gateway, lines: Lines
) -> None:
    user = (await post(gateway, "register", username="ada", password=PASSWORD))["user"]
    first = (await post(gateway, "login", username="ada", password=PASSWORD))["refreshToken"]
    second = await post(gateway, "refresh", refreshToken=first)
    assert await post(gateway, "refresh", refreshToken=first) == second | {"accessToken": ANY}
    assert await counts(gateway) == {}
    gateway.clock.advance(31)
    reported = await post(gateway, "refresh", refreshToken=first)

    assert reported == await post(gateway, "refresh", refreshToken="A" * 43)
    assert await counts(gateway) == {"refresh_reused": 1}
    (line,) = suspicions(lines)
    assert (line["level"], line["user_id"]) == ("warning", user["userId"])


async def test_a_wrong_password_is_reported_with_its_user_but_never_with_the_password(
    gateway: Gateway, lines: Lines
) -> None:
    user = (await post(gateway, "register", username="ada", password=PASSWORD))["user"]
    typed = "my-password-in-the-wrong-field"
    await post(gateway, "login", username="ada", password="wrong password")
    await post(gateway, "login", username=typed[:20], password="wrong password")

    assert await counts(gateway) == {"bad_credentials": 2}
    assert [line.get("user_id") for line in suspicions(lines)] == [user["userId"], None]
    assert typed[:20] not in str(lines())


async def test_exceeded_limits_are_reported_by_name(
    start_gateway: StartGateway, score_service: ScoreService, lines: Lines
) -> None:
    limits = {
        f"{limited}_per_minute": 1
        for limited in ("completes", "redeems", "logins", "registrations", "exports", "moderations")
    }
    gateway = await start_gateway(score_target=score_service.target, starts_per_minute=2, **limits)
    rare = [one.model_copy(update={"per_minute": 1}) for one in ACTIONS if one.action_id == "wave"]
    replace_actions(gateway.database.gateway_owner_dsn, None, [*ACTIONS[:5], *rare])
    player, performer = await gateway.player(), await gateway.player()
    await grant(gateway, player)
    token = await player.start()
    ticket = await performer.perform()
    await performer.post("/actions/perform", {"actionId": "wave"})
    for _ in range(2):
        await player.post("/actions/start", {"actionId": "quick"})
        await performer.redeem(ticket, result=None)
        await player.get("/account/export")
        await player.get("/moderation/boards")
        await player.complete(token, "no")
        await post(gateway, "login", username="ada", password=PASSWORD)
        await post(gateway, "register", username="ada", password=PASSWORD)

    exceeded = {*LIMITS} - {"redeem_outside"}  # That of an outside issuer makes nobody suspect.
    assert (await counts(gateway))["rate_limited"] == len(exceeded)
    limited = [line["limit"] for line in suspicions(lines) if line["signal"] == "rate_limited"]
    # More of a signal in a second are counted and not told.
    assert set(limited) <= exceeded
    assert len(set(limited)) == len(limited) >= EVENTS_A_SECOND
    assert {await gateway.metric("gateway_rate_limited_total", limit=limit) for limit in exceeded} == {1}


async def test_a_socket_with_a_forged_token_is_suspicious_and_one_without_a_token_is_not(
    realtime: Realtime,
) -> None:
    def seen() -> float:
        return realtime.metric("gateway_suspicions_total", signal="access_token_forged")

    async with realtime.connected(None, token="rubbish") as socket:
        assert await close_code(socket) == 4401
    async with realtime.connected(None) as socket:
        await socket.send('{"type": "auth"}')
        assert await close_code(socket) == 4401
    assert seen() == 0
    forged = forge(realtime.token("u1"), sub="u2")
    with capture_logs() as logs:
        async with realtime.connected(None, token=forged) as socket:
            assert await close_code(socket) == 4401
        async with realtime.connected(None) as socket:
            await socket.send(json.dumps({"type": "auth", "accessToken": forged}))
            assert await close_code(socket) == 4401

    assert seen() == 2
    reported = [line for line in logs if line["event"] == "suspicion"]
    assert [(line["signal"], line["address"]) for line in reported] == [
        ("access_token_forged", "127.0.0.1")
    ] * 2


async def test_nothing_that_a_client_sends_forges_a_line_of_the_log(
    start_gateway: StartGateway, lines: Lines
) -> None:
    gateway = await start_gateway(ready=False, score_target="dns:///localhost:1", trusted_proxies="127.0.0.1")
    forged = '{"event": "suspicion", "signal": "planted"}'
    token = forge((await gateway.player()).access_token, sub=f"\n{forged}\n", jti=forged)
    hostile = ('1.2.3.4", "signal": "planted', "\x1b[31mplanted", "1.2.3.4\x85planted", "::1%planted")
    for value in (forged, *hostile):
        await gateway.http.post(
            "/api/v1/actions/complete",
            headers=[
                (name.encode(), text.encode("latin-1"))
                for name, text in (
                    ("Authorization", f"Bearer {token}"),
                    ("X-Forwarded-For", value),
                    ("X-Request-Id", value),
                    ("traceparent", value),
                    ("User-Agent", value),
                )
            ],
        )
    (count,) = (await counts(gateway)).values()
    reported = suspicions(lines)

    assert len(reported) == count > 0
    assert {(line["signal"], line["address"]) for line in reported} <= {
        ("access_token_forged", address) for address in ("unknown", "::/64")
    }
    assert "planted" not in str(lines())


async def test_an_address_is_reported_as_limits_count_it(start_gateway: StartGateway, lines: Lines) -> None:
    gateway = await start_gateway(ready=False, score_target="dns:///localhost:1", trusted_proxies="127.0.0.1")
    forged = {"Authorization": f"Bearer {forge((await gateway.player()).access_token, sub='x')}"}
    for address in ("203.0.113.7", "2001:db8:1:2:3:4:5:6"):
        await gateway.http.get("/api/v1/actions", headers=forged | {"X-Forwarded-For": address})

    assert [line["address"] for line in suspicions(lines)] == ["203.0.113.7", "2001:db8:1:2::/64"]


async def test_a_flood_is_counted_in_full_and_logged_in_few_lines(gateway: Gateway, lines: Lines) -> None:
    flood = 10 * EVENTS_A_SECOND
    player = await gateway.player()
    forged = replace(player, access_token=forge(player.access_token, sub="x"))
    started = asyncio.get_running_loop().time()
    await asyncio.gather(*(forged.get("/actions") for _ in range(flood)))
    seconds = asyncio.get_running_loop().time() - started

    assert await counts(gateway) == {"access_token_forged": flood}
    assert EVENTS_A_SECOND <= len(suspicions(lines)) <= EVENTS_A_SECOND * (1 + int(seconds))


def test_the_next_event_reports_the_omitted_ones_and_other_signals_are_still_logged() -> None:
    now = 0.0
    registry = CollectorRegistry()
    suspicions = Suspicions(registry, lambda: now)
    with capture_logs() as logs:
        for _ in range(100):
            suspicions.note(errors.TooFastError(), None)
        suspicions.note(errors.WrongAnswerError(3), None)
        now = 1.0
        suspicions.note(errors.TooFastError(), None)

    reported = [(line["signal"], line["left_out"]) for line in logs]
    left_out = 100 - EVENTS_A_SECOND
    assert reported == [("too_fast", 0)] * EVENTS_A_SECOND + [("wrong_answer", 0), ("too_fast", left_out)]
    assert registry.get_sample_value("gateway_suspicions_total", {"signal": "too_fast"}) == 101


def test_rejection_at_capacity_is_not_suspicious() -> None:
    registry = CollectorRegistry()
    with capture_logs() as logs:
        Suspicions(registry).note(errors.RateLimitedError(1.0), None)

    assert logs == []
    assert registry.get_sample_value("gateway_suspicions_total", {"signal": "rate_limited"}) == 0


async def test_a_user_who_gets_points_too_fast_is_suspicious_once(
    start_gateway: StartGateway, score_service: ScoreService, lines: Lines
) -> None:
    gateway = await start_gateway(score_target=score_service.target, surge_points_per_minute=5)
    player, other = await gateway.player(), await gateway.player()
    await other.complete(await other.start())
    for _ in range(3):
        assert (await player.complete(await player.start())).status_code == 200

    assert await counts(gateway) == {"points_surge": 1}
    (line,) = suspicions(lines)
    assert (line["signal"], line["user_id"], line["level"]) == ("points_surge", player.user_id, "info")
