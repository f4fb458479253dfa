"""What may take effect once, used again and raced through two gateways: it does once, and all learn of it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable
from typing import Any

import httpx2 as httpx
import psycopg
import pytest
from tests.fixtures.servers.postgres import Database
from tests.fixtures.services.gateway import Gateway, Player, StartGateway
from tests.fixtures.services.score_service import ScoreService

PASSWORD = "correct horse battery"
AT_ONCE = 12


@pytest.fixture
async def gateways(start_gateway: StartGateway, score_service: ScoreService) -> list[Gateway]:
    return [await start_gateway(score_target=score_service.target) for _ in range(2)]


@pytest.fixture
async def players(gateways: list[Gateway]) -> list[Player]:
    """Return one user, at each of the gateways."""
    one = await gateways[0].player()
    return [gateway.as_player(one.user_id, one.username) for gateway in gateways]


async def race(calls: Iterable[Awaitable[httpx.Response]]) -> list[httpx.Response]:
    return list(await asyncio.gather(*calls))


def codes(responses: list[httpx.Response]) -> Counter[Any]:
    """Count the answers: by status where they are good, by code where not."""
    return Counter(one.json()["code"] if one.status_code >= 400 else one.status_code for one in responses)


def points_in_ledger(database: Database) -> list[int]:
    with psycopg.connect(database.admin_dsn) as connection:
        return [row[0] for row in connection.execute("SELECT points FROM score.award ORDER BY revision")]


def outcomes(responses: list[httpx.Response]) -> set[tuple[int, int]]:
    """Return the points and totals in all answers, good or not."""
    bodies = [one.json() if one.status_code == 200 else one.json()["award"] for one in responses]
    return {(body["pointsEarned"], body["newTotalScore"]) for body in bodies}


async def test_an_action_token_pays_once_across_all_gateways(
    players: list[Player], database: Database
) -> None:
    token = await players[0].start()
    responses = await race(players[n % 2].complete(token) for n in range(AT_ONCE))
    later = await race(player.complete(token) for player in players)

    assert codes(responses) == {200: 1, "action_token_used": AT_ONCE - 1}
    assert codes(later) == {"action_token_used": 2}
    assert outcomes(responses + later) == {(5, 5)}
    assert points_in_ledger(database) == [5]


async def test_a_request_with_a_key_is_answered_alike_by_all_gateways(
    players: list[Player], database: Database
) -> None:
    token = await players[0].start()
    responses = await race(players[n % 2].complete(token, key="k-1") for n in range(AT_ONCE))
    other = await players[1].complete(token, key="k-2")

    assert codes(responses) == {200: AT_ONCE}
    assert len({one.text for one in responses}) == 1
    assert codes([other]) == {"action_token_used": 1}
    assert points_in_ledger(database) == [5]


async def test_a_key_is_its_users_own(gateways: list[Gateway], database: Database) -> None:
    users = [await gateways[0].player() for _ in range(3)]
    tokens = [await user.start() for user in users]
    pairs = zip(users, tokens, strict=True)
    responses = await race(user.complete(token, key="k") for user, token in pairs)

    assert codes(responses) == {200: 3}
    assert points_in_ledger(database) == [5, 5, 5]


@pytest.mark.parametrize(("action_id", "answer", "points"), [("once", "1", 20), ("daily", "d", 7)])
async def test_an_action_that_pays_once_does_so_whatever_tokens_are_out(
    players: list[Player], database: Database, action_id: str, answer: str, points: int
) -> None:
    tokens = [await player.start(action_id) for player in players * 2]
    calls = [(players[n % 2], token) for n in range(3) for token in tokens]
    responses = await race(player.complete(token, answer) for player, token in calls)
    again = await race(player.post("/actions/start", {"actionId": action_id}) for player in players)

    observed = codes(responses + again)
    assert observed.pop(200) == 1
    assert set(observed) <= {"action_token_used", "action_already_completed"}
    assert codes(again) == {"action_already_completed": 2}
    assert outcomes(responses + again) == {(points, points)}
    assert points_in_ledger(database) == [points]


async def test_attempts_are_counted_across_all_gateways(players: list[Player], database: Database) -> None:
    token = await players[0].start()
    responses = await race(players[n % 2].complete(token, "no") for n in range(AT_ONCE))
    late = await race(player.complete(token) for player in players)

    assert codes(responses) == {"wrong_answer": 5, "action_token_spent": AT_ONCE - 5}
    left = [one.json()["attemptsLeft"] for one in responses if one.json()["code"] == "wrong_answer"]
    assert sorted(left) == [0, 1, 2, 3, 4]
    assert codes(late) == {"action_token_spent": 2}
    assert points_in_ledger(database) == []


async def test_a_right_answer_among_wrong_ones_pays_at_most_once_and_later_requests_get_its_outcome(
    players: list[Player], database: Database
) -> None:
    token = await players[0].start()
    answers = ["no", "yes"] * (AT_ONCE // 2)
    responses = await race(players[n % 2].complete(token, answer) for n, answer in enumerate(answers))
    later = await race(player.complete(token, "no") for player in players)

    observed = codes(responses)
    assert set(observed) <= {200, "wrong_answer", "action_token_used", "action_token_spent"}
    assert observed["wrong_answer"] <= 5
    assert points_in_ledger(database) == [5] * observed[200]
    # The first five answers may all have been wrong ones.
    assert codes(later) == ({"action_token_used": 2} if observed[200] else {"action_token_spent": 2})


async def test_a_ticket_pays_once_across_all_gateways(players: list[Player], database: Database) -> None:
    performed = await players[0].perform()
    responses = await race(players[n % 2].redeem(performed) for n in range(AT_ONCE))
    later = await race(player.redeem(performed) for player in players)

    assert codes(responses) == {200: 1, "ticket_used": AT_ONCE - 1}
    assert codes(later) == {"ticket_used": 2}
    awards = [one.json()["award"] for one in responses + later if one.status_code == 409]
    assert all((award["pointsEarned"], award["newTotalScore"]) == (3, 3) for award in awards)
    assert points_in_ledger(database) == [3]


async def test_a_ticket_pays_once_whatever_data_it_is_shown_with_meanwhile(
    players: list[Player], database: Database
) -> None:
    performed = await players[0].perform()
    other = performed["result"] | {"points": 1000}
    responses = await race(
        players[n % 2].redeem(performed, **({"result": other} if n % 3 else {})) for n in range(AT_ONCE)
    )
    later = await race(player.redeem(performed, result=other) for player in players)

    observed = codes(responses)
    assert set(observed) <= {200, "ticket_used", "ticket_data_mismatch"}
    assert observed[200] == 1
    assert codes(later) == {"ticket_used": 2}
    assert points_in_ledger(database) == [3]


async def test_all_tickets_of_a_daily_action_pay_once_a_day_across_all_gateways(
    players: list[Player], database: Database
) -> None:
    performed = [await player.perform("check_in") for player in players for _ in range(3)]
    responses = await race(players[n % 2].redeem(one) for n, one in enumerate(performed))

    assert codes(responses) == {200: 1, "ticket_used": 5}
    assert points_in_ledger(database) == [4]


async def test_a_name_is_registered_once_across_all_gateways(gateways: list[Gateway]) -> None:
    names = ["ada", "ADA", "Ada", "aDa"]
    responses = await race(
        gateway.http.post("/api/v1/auth/register", json={"username": name, "password": PASSWORD})
        for name in names
        for gateway in gateways
    )

    assert codes(responses) == {201: 1, "username_taken": 7}


async def log_in(gateway: Gateway) -> str:
    credentials = {"username": "ada", "password": PASSWORD}
    await gateway.http.post("/api/v1/auth/register", json=credentials)
    response = await gateway.http.post("/api/v1/auth/login", json=credentials)
    token: str = response.json()["refreshToken"]
    return token


async def test_a_refresh_token_has_one_successor_across_all_gateways(gateways: list[Gateway]) -> None:
    token = await log_in(gateways[0])
    responses = await race(
        gateways[n % 2].http.post("/api/v1/auth/refresh", json={"refreshToken": token})
        for n in range(AT_ONCE)
    )

    assert codes(responses) == {200: AT_ONCE}
    assert len({one.json()["refreshToken"] for one in responses}) == 1
    assert len({one.json()["accessToken"] for one in responses}) == AT_ONCE


async def test_a_session_that_is_logged_out_during_a_refresh_is_over(gateways: list[Gateway]) -> None:
    token = await log_in(gateways[0])
    paths = ["refresh", "logout"] * 4
    responses = await race(
        gateways[n % 2].http.post(f"/api/v1/auth/{path}", json={"refreshToken": token})
        for n, path in enumerate(paths)
    )
    given = {one.json()["refreshToken"] for one in responses if one.status_code == 200} | {token}
    later = await race(
        gateway.http.post("/api/v1/auth/refresh", json={"refreshToken": one})
        for one in given
        for gateway in gateways
    )

    assert set(codes(responses)) <= {200, 204, "bad_refresh_token"}
    assert set(codes(later)) == {"bad_refresh_token"}
