"""Starting and completing actions, over HTTP, with everything behind it."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.action_gateway.forgery import forge, sign_with_public_key
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.postgres import Database
from tests.fixtures.services.gateway import ACTIONS, Gateway, MovableClock, Player, StartGateway
from tests.fixtures.services.score_service import ScoreService

from action_gateway.accounts.keys import KeyFolder
from action_gateway.actions.catalog import CatalogAction, replace_actions
from action_gateway.actions.editions import OFFERED_SECONDS

AWARD = {"pointsEarned": 5, "newTotalScore": 5, "newRank": 1}


def code(response: Any) -> tuple[int, str]:
    """Return what a request failed with."""
    return response.status_code, response.json()["code"]


async def count_awards(score_service: ScoreService, database: Database) -> int:
    """Count the rows of the ledger."""
    async with await psycopg.AsyncConnection.connect(database.score_runtime_dsn) as connection:
        cursor = await connection.execute("SELECT count(*) FROM score.award")
        row = await cursor.fetchone()
    assert row
    return int(row[0])


async def test_a_start_returns_the_prompt_and_the_expiry(gateway: Gateway, player: Player) -> None:
    response = await player.post("/actions/start", {"actionId": "quick"})

    assert response.status_code == 200
    body = response.json()
    assert body["actionDetails"] == {
        "actionId": "quick",
        "title": "Quick",
        "prompt": "Yes or yes?",
        "points": 5,
    }
    assert body["expiresAt"].endswith("Z")
    assert "yeah" not in response.text


async def test_a_right_answer_pays_its_points(player: Player) -> None:
    response = await player.complete(await player.start())

    assert response.status_code == 200
    assert response.json() == {"success": True, **AWARD}


async def test_awards_have_ids_in_the_order_of_time(player: Player) -> None:
    tokens = [await player.start() for _ in range(10)]

    ids = [jwt.decode(token, options={"verify_signature": False})["jti"] for token in tokens]
    assert ids == sorted(ids)


async def test_points_add_up(player: Player) -> None:
    await player.complete(await player.start())
    response = await player.complete(await player.start(), "YEAH ")

    assert response.json() == {"success": True, "pointsEarned": 5, "newTotalScore": 10, "newRank": 1}


@pytest.mark.parametrize(
    ("key", "right", "wrong"),
    [
        ({"answer": "don't panic"}, ["Don\u2019t  panic", "DON\u02bcT PANIC\u200b"], ["dont panic"]),
        ({"answer": "Don\u2019t panic"}, ["don't panic"], ["don't-panic"]),
        (
            {"answers": ['say "well-being"', "VENI"]},
            ["say \u201cwell\u2013being\u201d", "ven\u0130"],
            ["veni\u0301"],
        ),
        ({"numeric": {"value": "1000", "units": ["m"]}}, ["1,000", "1 000.00 m"], ["1001", "1000 km"]),
        ({"numeric": {"value": "40", "relative_tolerance": "0.01"}}, ["40.00", "39,6"], ["39.59", "forty"]),
    ],
)
async def test_equivalent_spellings_of_an_answer_are_accepted(
    player: Player, database: Database, key: dict[str, Any], right: list[str], wrong: list[str]
) -> None:
    quick = ACTIONS[1].model_dump(exclude={"answer", "answers", "numeric"})
    replace_actions(database.gateway_owner_dsn, None, [CatalogAction.model_validate(quick | key)])
    token = await player.start()
    for answer in wrong:
        assert code(await player.complete(token, answer)) == (422, "wrong_answer")
    assert (await player.complete(token, right[0])).status_code == 200
    for answer in right[1:]:
        assert (await player.complete(await player.start(), answer)).status_code == 200


async def test_an_action_that_does_not_exist_cannot_be_started(player: Player) -> None:
    assert code(await player.post("/actions/start", {"actionId": "nothing"})) == (404, "action_not_found")


async def test_start_and_completion_need_an_access_token(gateway: Gateway) -> None:
    for path in ("/actions/start", "/actions/complete"):
        response = await gateway.http.post(f"/api/v1{path}", content=b"{")

        assert code(response) == (401, "unauthenticated")
        assert response.headers["www-authenticate"] == "Bearer"


async def test_a_client_cannot_choose_points(player: Player) -> None:
    token = await player.start()
    body = {"actionToken": token, "proof": {"answer": "yes"}, "points": 1000}

    assert code(await player.post("/actions/complete", body)) == (422, "invalid_request")


async def test_a_reused_token_returns_its_first_outcome(player: Player) -> None:
    token = await player.start()
    await player.complete(token)
    response = await player.complete(token)

    assert code(response) == (409, "action_token_used")
    assert response.json()["award"] == AWARD


async def test_of_eight_completions_at_once_one_pays(
    player: Player, score_service: ScoreService, database: Database
) -> None:
    token = await player.start()
    responses = await asyncio.gather(*(player.complete(token) for _ in range(8)))

    assert Counter(response.status_code for response in responses) == {200: 1, 409: 7}
    rejected = [response.json() for response in responses if response.status_code == 409]
    assert all(body["code"] == "action_token_used" and body["award"] == AWARD for body in rejected)
    assert await count_awards(score_service, database) == 1


async def test_a_request_with_an_idempotency_key_may_be_repeated(player: Player) -> None:
    token = await player.start()
    first = await player.complete(token, key="k1")
    again = await asyncio.gather(*(player.complete(token, key="k1") for _ in range(4)))

    assert first.status_code == 200
    assert [response.json() for response in again] == [first.json()] * 4


async def test_another_key_or_another_body_is_another_request(player: Player) -> None:
    token = await player.start()
    await player.complete(token, key="k1")

    assert code(await player.complete(token, key="k2")) == (409, "action_token_used")
    assert code(await player.complete(token, "yeah", key="k1")) == (409, "action_token_used")
    assert code(await player.complete(token)) == (409, "action_token_used")


async def test_a_repeated_request_is_answered_after_the_token_has_expired(
    gateway: Gateway, player: Player
) -> None:
    token = await player.start()
    first = await player.complete(token, key="k1")
    gateway.clock.advance(601)

    later = gateway.as_player(player.user_id)
    assert (await later.complete(token, key="k1")).json() == first.json()
    assert code(await later.complete(token)) == (409, "action_token_used")


async def test_a_malformed_idempotency_key_is_rejected(player: Player) -> None:
    body = {"actionToken": "x", "proof": {"answer": "yes"}}
    for key in ("", "a b", "x" * 256, "schlüssel"):
        headers = [
            (b"Authorization", player.headers["Authorization"].encode()),
            (b"Idempotency-Key", key.encode()),
        ]
        response = await player.http.post("/api/v1/actions/complete", json=body, headers=headers)

        assert code(response) == (422, "invalid_request")


async def test_a_wrong_answer_costs_an_attempt_until_none_is_left(player: Player) -> None:
    token = await player.start()
    responses = [await player.complete(token, "no") for _ in range(5)]

    assert [code(response) for response in responses] == [(422, "wrong_answer")] * 5
    assert [response.json()["attemptsLeft"] for response in responses] == [4, 3, 2, 1, 0]
    assert code(await player.complete(token, "no")) == (409, "action_token_spent")
    assert code(await player.complete(token, "yes")) == (409, "action_token_spent")


async def test_guessing_in_parallel_gets_no_more_attempts(player: Player) -> None:
    token = await player.start()
    responses = await asyncio.gather(*(player.complete(token, f"no {n}") for n in range(20)))

    assert Counter(map(code, responses)) == {(422, "wrong_answer"): 5, (409, "action_token_spent"): 15}


async def test_the_last_attempt_may_be_right(player: Player) -> None:
    token = await player.start()
    for _ in range(4):
        await player.complete(token, "no")

    assert (await player.complete(token)).status_code == 200
    assert code(await player.complete(token, "no")) == (409, "action_token_used")


async def test_an_answer_can_be_too_fast_which_costs_no_attempt(gateway: Gateway, player: Player) -> None:
    token = await player.start("slow")
    too_fast = [await player.complete(token, "word") for _ in range(6)]
    gateway.clock.advance(60)

    assert [code(response) for response in too_fast] == [(422, "too_fast")] * 6
    assert (await player.complete(token, "word")).status_code == 200


async def test_an_action_started_by_a_gateway_whose_clock_is_ahead_is_not_too_fast(
    gateway: Gateway, player: Player
) -> None:
    gateway.clock.advance(30)
    token = await player.start("puzzle_123")
    gateway.clock.advance(-30)

    assert (await player.complete(token, "ABC")).status_code == 200


async def test_a_token_expires(gateway: Gateway, player: Player) -> None:
    token = await player.start()
    gateway.clock.advance(601)

    later = gateway.as_player(player.user_id)
    assert code(await later.complete(token)) == (400, "action_token_expired")


async def test_a_token_is_valid_for_its_user_only(gateway: Gateway, player: Player) -> None:
    token = await player.start()
    thief = await gateway.player()

    assert code(await thief.complete(token)) == (403, "action_token_foreign")
    await player.complete(token)
    assert code(await thief.complete(token)) == (403, "action_token_foreign")


async def test_an_invalid_action_token_is_rejected(gateway: Gateway, player: Player) -> None:
    token = await player.start()
    action_keys = KeyFolder(gateway.settings.action_keys_dir)
    for forged in (
        "",
        "rubbish",
        "\u00fc",
        player.access_token,
        forge(token, points=1_000_000),
        forge(token, sub=player.user_id, exp=9_999_999_999),
        forge(token, header={"alg": "none"}),
        forge(token, header={"alg": "none"}).rpartition(".")[0] + ".",
        forge(token, header={"typ": "at+jwt"}),
        sign_with_public_key(token, action_keys, Encoding.PEM),
        sign_with_public_key(token, action_keys, Encoding.Raw),
    ):
        expected = (422, "invalid_request") if forged == "" else (400, "bad_action_token")
        assert code(await player.complete(forged)) == expected
    assert (await player.complete(token)).status_code == 200


async def test_an_action_token_is_no_access_token(gateway: Gateway, player: Player) -> None:
    token = await player.start()
    access_keys = KeyFolder(gateway.settings.access_keys_dir)
    for forged in (
        token,
        forge(player.access_token, sub="somebody"),
        forge(player.access_token, header={"alg": "none"}).rpartition(".")[0] + ".",
        sign_with_public_key(player.access_token, access_keys, Encoding.PEM),
    ):
        impostor = replace(player, access_token=forged)
        assert code(await impostor.complete(token)) == (401, "unauthenticated")


async def test_an_action_that_pays_once_is_reported_as_completed_afterwards(player: Player) -> None:
    first, second = await player.start("once"), await player.start("once")
    assert (await player.complete(first, "1")).status_code == 200
    award = {"pointsEarned": 20, "newTotalScore": 20, "newRank": 1}

    for response, reason in [
        (await player.complete(second, "1"), "action_already_completed"),
        (await player.complete(first, "1"), "action_token_used"),
        (await player.complete(first, "2"), "action_token_used"),
        (await player.post("/actions/start", {"actionId": "once"}), "action_already_completed"),
    ]:
        assert code(response) == (409, reason)
        assert response.json()["award"] == award


async def test_a_wrong_answer_to_an_action_paid_by_another_token_reports_the_payment(
    player: Player,
) -> None:
    first, second = await player.start("once"), await player.start("once")
    await player.complete(first, "1")

    assert code(await player.complete(second, "wrong")) == (409, "action_already_completed")


async def test_an_action_of_the_day_pays_again_the_next_day(gateway: Gateway, player: Player) -> None:
    assert (await player.complete(await player.start("daily"), "d")).status_code == 200
    today = await player.post("/actions/start", {"actionId": "daily"})
    gateway.clock.advance(86_400)
    tomorrow = gateway.as_player(player.user_id)

    assert code(today) == (409, "action_already_completed")
    assert (await tomorrow.complete(await tomorrow.start("daily"), "d")).json()["newTotalScore"] == 14


async def test_tokens_of_several_users_for_one_action_all_pay(gateway: Gateway, player: Player) -> None:
    other = await gateway.player()
    for one in (player, other):
        assert (await one.complete(await one.start("once"), "1")).status_code == 200


async def test_the_list_shows_every_action_and_what_is_completed(player: Player) -> None:
    await player.complete(await player.start("once"), "1")
    await player.complete(await player.start("quick"))
    actions = (await player.get("/actions")).json()["actions"]

    assert [(action["actionId"], action["completed"]) for action in actions] == [
        ("puzzle_123", False),
        ("quick", False),
        ("once", True),
        ("daily", False),
        ("slow", False),
        ("wave", False),
        ("check_in", False),
    ]
    assert actions[2] == {
        "actionId": "once",
        "kind": "puzzle",
        "title": "Once",
        "prompt": "One?",
        "points": 20,
        "repeat": "once",
        "completed": True,
    }


async def change_catalog(database: Database, action: CatalogAction) -> None:
    """Offer one action alone, and wait until every gateway knows."""
    replace_actions(database.gateway_owner_dsn, None, [action])
    await asyncio.sleep(OFFERED_SECONDS)  # What was read before counts for so long.


async def test_an_edited_action_changes_nothing_for_issued_tokens(player: Player, database: Database) -> None:
    token = await player.start()
    edited = ACTIONS[1].model_copy(update={"answers": ["nope"], "points": 500, "min_seconds": 60.0})
    await change_catalog(database, edited)

    assert (await player.complete(token, "yeah")).json()["pointsEarned"] == 5
    assert code(await player.complete(await player.start(), "nope")) == (422, "too_fast")


async def test_a_retired_action_still_pays_issued_tokens(player: Player, database: Database) -> None:
    token = await player.start()
    await change_catalog(database, ACTIONS[0])

    assert (await player.complete(token)).status_code == 200
    assert code(await player.post("/actions/start", {"actionId": "quick"})) == (404, "action_not_found")


async def test_an_action_that_paid_other_points_before_it_was_edited_counts_as_completed(
    player: Player, database: Database
) -> None:
    before = await player.start("once")
    await change_catalog(database, ACTIONS[2].model_copy(update={"points": 30}))
    after = await player.start("once")
    await player.complete(before, "1")
    response = await player.complete(after, "1", key="k1")

    assert code(response) == (409, "action_already_completed")
    assert response.json()["award"]["pointsEarned"] == 20


async def test_starts_and_completes_have_limits_by_user(
    start_gateway: StartGateway, score_service: ScoreService
) -> None:
    gateway = await start_gateway(
        score_target=score_service.target, starts_per_minute=2, completes_per_minute=3
    )
    player, other = await gateway.player(), await gateway.player()
    tokens = [await player.start(), await player.start()]
    rejected = await player.post("/actions/start", {"actionId": "quick"})
    completed = [await player.complete(token) for token in tokens]
    wrong = await player.complete(tokens[0], "no")
    limited = await player.complete(tokens[1], "no")

    assert code(rejected) == (429, "rate_limited")
    assert 1 <= int(rejected.headers["retry-after"]) <= 60
    assert [response.status_code for response in completed] == [200, 200]
    # A payment is reported above the limit, too.
    assert code(wrong) == code(limited) == (409, "action_token_used")
    assert (await other.complete(await other.start())).status_code == 200


async def test_a_rate_limited_answer_costs_no_attempt(
    start_gateway: StartGateway, score_service: ScoreService
) -> None:
    gateway = await start_gateway(score_target=score_service.target, completes_per_minute=1)
    player = await gateway.player()
    token = await player.start()
    responses = [await player.complete(token, "no") for _ in range(3)]

    assert [code(response) for response in responses] == [
        (422, "wrong_answer"),
        (429, "rate_limited"),
        (429, "rate_limited"),
    ]


async def test_while_redis_is_unavailable_players_continue_and_logins_are_rejected(
    start_gateway: StartGateway, score_service: ScoreService, free_port: Callable[[], int]
) -> None:
    gateway = await start_gateway(
        ready=False,
        score_target=score_service.target,
        redis_url=f"redis://127.0.0.1:{free_port()}/0",
        starts_per_minute=2,
    )
    player = await gateway.player()
    credentials = {"username": "ada", "password": "correct horse battery"}
    login = await gateway.http.post("/api/v1/auth/login", json=credentials)
    registration = await gateway.http.post("/api/v1/auth/register", json=credentials)

    assert code(login) == code(registration) == (503, "unavailable")
    assert (await player.complete(await player.start())).status_code == 200
    await player.start()
    assert code(await player.post("/actions/start", {"actionId": "quick"})) == (429, "rate_limited")


class TestWhileTheScoreServiceIsUnavailable:
    """No token is used up by that."""

    @pytest.fixture
    async def proxy(self, score_service: ScoreService, start_proxy: Any) -> Proxy:
        proxy: Proxy = await start_proxy(str(score_service.running.grpc_address))
        return proxy

    @pytest.fixture
    async def gateway(self, start_gateway: StartGateway, proxy: Proxy) -> Gateway:
        return await start_gateway(score_target=f"dns:///localhost:{proxy.port}", score_timeout_seconds=1.5)

    @staticmethod
    async def guess_and_cut_off(player: Player, token: str, proxy: Proxy) -> None:
        """Leave one attempt, and lose the score service."""
        for _ in range(4):
            await player.complete(token, "no")
        proxy.hold()
        proxy.reset()

    async def test_a_right_answer_is_paid_later_also_when_it_was_the_last_attempt(
        self, gateway: Gateway, player: Player, proxy: Proxy
    ) -> None:
        token = await player.start()
        await self.guess_and_cut_off(player, token, proxy)
        unavailable = await player.complete(token, key="once")
        proxy.release()

        assert code(unavailable) == (503, "unavailable")
        assert int(unavailable.headers["retry-after"]) >= 1
        # The first one may still have arrived; the key makes both the same request.
        assert (await player.complete(token, key="once")).status_code == 200

    async def test_a_wrong_answer_after_the_right_one_has_no_more_attempts_than_any(
        self, player: Player, proxy: Proxy
    ) -> None:
        token = await player.start()
        await self.guess_and_cut_off(player, token, proxy)
        await player.complete(token)
        proxy.release()

        assert code(await player.complete(token, "no"))[1] in {"action_token_spent", "action_token_used"}

    async def test_a_lost_response_does_not_count_as_a_use(
        self, player: Player, proxy: Proxy, score_service: ScoreService, database: Database
    ) -> None:
        token = await player.start()
        proxy.cut_replies(after=0)
        response = await player.complete(token)

        assert response.json() == {"success": True, **AWARD}
        assert await count_awards(score_service, database) == 1

    async def test_a_wrong_answer_is_reported_while_the_score_service_is_unavailable(
        self, player: Player, proxy: Proxy
    ) -> None:
        token = await player.start()
        proxy.hold()
        response = await player.complete(token, "no")
        proxy.release()

        assert code(response) == (422, "wrong_answer")
        assert response.json()["attemptsLeft"] == 4

    async def test_expiry_is_not_reported_for_a_token_that_may_have_been_paid(
        self, gateway: Gateway, player: Player, proxy: Proxy
    ) -> None:
        token = await player.start()
        await player.complete(token)
        gateway.clock.advance(601)
        later = gateway.as_player(player.user_id)
        proxy.hold()
        unavailable = await later.complete(token)
        proxy.release()

        assert code(unavailable) == (503, "unavailable")
        assert code(await later.complete(token)) == (409, "action_token_used")

    async def test_unlimited_actions_can_be_started_while_the_score_service_is_unavailable(
        self, player: Player, proxy: Proxy
    ) -> None:
        proxy.hold()
        unlimited = await player.post("/actions/start", {"actionId": "quick"})
        once = await player.post("/actions/start", {"actionId": "once"})
        proxy.release()

        assert unlimited.status_code == 200
        assert code(once) == (503, "unavailable")


async def test_while_the_database_is_unavailable_the_token_stays_valid(
    start_gateway: StartGateway,
    score_service: ScoreService,
    gateway_settings: dict[str, Any],
    start_proxy: Any,
    database: Database,
) -> None:
    dsn = psycopg.conninfo.conninfo_to_dict(gateway_settings["database_dsn"])
    proxy: Proxy = await start_proxy(f"{dsn['host']}:{dsn['port']}")
    through = psycopg.conninfo.make_conninfo(gateway_settings["database_dsn"], port=proxy.port)
    gateway = await start_gateway(score_target=score_service.target, database_dsn=through)
    player = await gateway.player()
    token = await player.start()
    proxy.hold()
    unavailable = await asyncio.gather(
        player.complete(token),
        player.post("/actions/start", {"actionId": "once"}),
        player.get("/actions"),
    )
    proxy.reset()
    proxy.release()

    assert [code(response) for response in unavailable] == [(503, "unavailable")] * 3
    assert (await player.complete(token)).status_code == 200


def test_the_movable_clock_moves() -> None:
    clock = MovableClock()
    before = clock()
    clock.advance(10)

    assert clock() - before >= 10
