"""Registering, logging in, refreshing and logging out, over HTTP."""

import asyncio
import base64
import unicodedata
from collections import Counter
from typing import Any

import httpx2 as httpx
import psycopg
import pytest
from argon2 import PasswordHasher
from tests.fixtures.servers.postgres import Database
from tests.fixtures.services.gateway import Gateway, StartGateway

PASSWORD = "correct horse battery"
KEY = "5f0c1a52-9f7c-4d0e-8d0a-1f6f5f0e7b11"


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    """Return a gateway without a score service, which sessions do not need."""
    return await start_gateway(ready=False, score_target="dns:///localhost:1")


async def post(gateway: Gateway, path: str, **body: str) -> httpx.Response:
    return await gateway.http.post(f"/api/v1/auth/{path}", json=body)


def code(response: httpx.Response) -> tuple[int, str]:
    """Return what a request failed with."""
    return response.status_code, response.json()["code"]


async def log_in(gateway: Gateway, username: str = "ada") -> dict[str, Any]:
    """Register and log in."""
    registered = await post(gateway, "register", username=username, password=PASSWORD)
    assert registered.status_code == 201, registered.text
    response = await post(gateway, "login", username=username, password=PASSWORD)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def refresh(gateway: Gateway, token: str, key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await gateway.http.post("/api/v1/auth/refresh", json={"refreshToken": token}, headers=headers)


async def test_a_new_user_logs_in_and_is_identified(gateway: Gateway) -> None:
    registered = await post(gateway, "register", username="Ada.Lovelace", password=PASSWORD)
    login = await post(gateway, "login", username="ada.lovelace", password=PASSWORD)

    assert registered.status_code == 201
    assert registered.json()["user"]["username"] == "Ada.Lovelace"
    assert login.status_code == 200
    assert login.json().keys() == {"accessToken", "refreshToken", "expiresIn", "user"}
    assert login.json()["expiresIn"] == 900
    assert login.json()["user"] == registered.json()["user"]
    access = gateway.running.parts.access_tokens.verify(login.json()["accessToken"])
    assert access.user_id == registered.json()["user"]["userId"]


async def test_a_name_is_taken_whatever_its_letter_case(gateway: Gateway) -> None:
    await post(gateway, "register", username="ada", password=PASSWORD)

    assert code(await post(gateway, "register", username="ADA", password=PASSWORD)) == (409, "username_taken")


async def test_of_concurrent_registrations_of_a_name_one_succeeds(gateway: Gateway) -> None:
    responses = await asyncio.gather(
        *(post(gateway, "register", username="ada", password=PASSWORD) for _ in range(6))
    )

    assert Counter(response.status_code for response in responses) == {201: 1, 409: 5}


async def test_names_and_passwords_have_bounds(gateway: Gateway) -> None:
    for username, password in (
        ("ab", PASSWORD),
        ("a" * 33, PASSWORD),
        ("ada lovelace", PASSWORD),
        ("ada\n", PASSWORD),
        ("ädä", PASSWORD),
        ("ada", "short"),
        ("ada", "x" * 129),
    ):
        response = await post(gateway, "register", username=username, password=password)

        assert code(response) == (422, "invalid_request")
        assert password not in response.text


async def test_the_length_of_a_password_is_checked_in_its_prepared_form(gateway: Gateway) -> None:
    composed, decomposed = "\u00e9" * 8, "e\u0301" * 8
    for faulty in ("e\u0301" * 7, "\u00e9" * 129, "tab\tbed is where", "zero\u200bwidth space"):
        rejected = await post(gateway, "register", username="ada", password=faulty)
        assert code(rejected) == (422, "invalid_request")
        assert faulty not in rejected.text
    for username, password, typed in (
        ("ada", decomposed, composed),
        ("bob", composed, decomposed),
        ("cyd", "\u1f82" * 128, unicodedata.normalize("NFD", "\u1f82" * 128)),
    ):
        assert (await post(gateway, "register", username=username, password=password)).status_code == 201
        assert (await post(gateway, "login", username=username, password=typed)).status_code == 200
        assert code(await post(gateway, "login", username=username, password="e" * 8)) == (
            401,
            "bad_credentials",
        )


async def test_registration_can_be_switched_off(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(ready=False, score_target="dns:///localhost:1", registration_enabled=False)

    assert code(await post(gateway, "register", username="ada", password=PASSWORD)) == (
        403,
        "registration_closed",
    )


async def test_a_password_is_kept_as_argon2id_and_hashed_anew_when_the_cost_has_changed(
    gateway: Gateway, database: Database
) -> None:
    await post(gateway, "register", username="ada", password=PASSWORD)
    async with await psycopg.AsyncConnection.connect(
        database.gateway_owner_dsn, autocommit=True
    ) as connection:

        async def read_hash() -> str:
            cursor = await connection.execute("SELECT password_hash FROM gateway.account")
            row = await cursor.fetchone()
            assert row
            return str(row[0])

        first = await read_hash()
        outdated = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
        await connection.execute("UPDATE gateway.account SET password_hash = %s", [outdated])
        login = await post(gateway, "login", username="ada", password=PASSWORD)
        renewed = await read_hash()

    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert login.status_code == 200
    assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_a_session_continues_with_each_new_refresh_token(gateway: Gateway) -> None:
    login = await log_in(gateway)
    tokens = [login["refreshToken"]]
    for _ in range(3):
        response = await refresh(gateway, tokens[-1])
        assert response.status_code == 200
        assert response.json()["user"] == login["user"]
        tokens.append(response.json()["refreshToken"])

    assert len(set(tokens)) == 4


async def test_the_previous_token_gets_the_same_successor_within_the_grace_period(gateway: Gateway) -> None:
    token = (await log_in(gateway))["refreshToken"]
    first = await refresh(gateway, token)
    gateway.clock.advance(29)
    again = await refresh(gateway, token)

    assert again.status_code == 200
    assert again.json()["refreshToken"] == first.json()["refreshToken"]
    assert (await refresh(gateway, again.json()["refreshToken"])).status_code == 200


async def test_after_the_grace_period_the_previous_token_ends_the_session(gateway: Gateway) -> None:
    token = (await log_in(gateway))["refreshToken"]
    newest = (await refresh(gateway, token)).json()["refreshToken"]
    gateway.clock.advance(31)

    assert code(await refresh(gateway, token)) == (401, "bad_refresh_token")
    assert code(await refresh(gateway, newest)) == (401, "bad_refresh_token")


async def test_a_lost_refresh_is_repeated_with_its_key_after_any_time(
    gateway: Gateway,
) -> None:
    token = (await log_in(gateway))["refreshToken"]
    first = await refresh(gateway, token, KEY)
    for seconds in (1, 31, 86_400):
        gateway.clock.advance(seconds)
        again = await refresh(gateway, token, KEY)

        assert again.status_code == 200
        assert again.json()["refreshToken"] == first.json()["refreshToken"]
        access = gateway.running.parts.access_tokens.verify(again.json()["accessToken"])
        assert access.user_id == again.json()["user"]["userId"]

    assert (await refresh(gateway, first.json()["refreshToken"])).status_code == 200


@pytest.mark.parametrize(("key", "other"), [(KEY, "another-key"), (KEY, None), (None, KEY)])
async def test_another_key_or_none_repeats_a_refresh_only_within_the_grace_period(
    gateway: Gateway, key: str | None, other: str | None
) -> None:
    token = (await log_in(gateway))["refreshToken"]
    newest = (await refresh(gateway, token, key)).json()["refreshToken"]
    gateway.clock.advance(29)
    assert (await refresh(gateway, token, other)).json()["refreshToken"] == newest
    gateway.clock.advance(2)

    assert code(await refresh(gateway, token, other)) == (401, "bad_refresh_token")
    assert code(await refresh(gateway, newest)) == (401, "bad_refresh_token")
    assert code(await refresh(gateway, token, key)) == (401, "bad_refresh_token")


async def test_a_key_works_until_the_new_token_is_used(gateway: Gateway) -> None:
    first = (await log_in(gateway))["refreshToken"]
    second = (await refresh(gateway, first, KEY)).json()["refreshToken"]
    third = (await refresh(gateway, second, KEY)).json()["refreshToken"]

    assert code(await refresh(gateway, first, KEY)) == (401, "bad_refresh_token")
    assert code(await refresh(gateway, third, KEY)) == (401, "bad_refresh_token")


async def test_a_key_does_not_extend_a_session(gateway: Gateway) -> None:
    token = (await log_in(gateway))["refreshToken"]
    await refresh(gateway, token, KEY)
    gateway.clock.advance(30 * 86_400 + 1)

    assert code(await refresh(gateway, token, KEY)) == (401, "bad_refresh_token")


async def test_a_malformed_key_is_rejected(gateway: Gateway) -> None:
    token = (await log_in(gateway))["refreshToken"]
    for key in ("", "x" * 256, "a b", "a\tb"):
        assert code(await refresh(gateway, token, key)) == (422, "invalid_request")

    assert (await refresh(gateway, token, "x" * 255)).status_code == 200


async def test_a_token_older_than_the_previous_one_ends_the_session_at_once(gateway: Gateway) -> None:
    first = (await log_in(gateway))["refreshToken"]
    second = (await refresh(gateway, first)).json()["refreshToken"]
    third = (await refresh(gateway, second)).json()["refreshToken"]

    for token in (first, second, third):
        assert code(await refresh(gateway, token)) == (401, "bad_refresh_token")


async def test_the_end_of_one_session_leaves_the_users_others(gateway: Gateway) -> None:
    stolen = (await log_in(gateway))["refreshToken"]
    other = (await post(gateway, "login", username="ada", password=PASSWORD)).json()["refreshToken"]
    await refresh(gateway, stolen)
    gateway.clock.advance(31)
    await refresh(gateway, stolen)

    assert (await refresh(gateway, other)).status_code == 200


async def test_concurrent_refreshes_have_one_winner_and_all_get_its_token(gateway: Gateway) -> None:
    token = (await log_in(gateway))["refreshToken"]
    responses = await asyncio.gather(*(refresh(gateway, token) for _ in range(8)))

    assert {response.status_code for response in responses} == {200}
    assert len({response.json()["refreshToken"] for response in responses}) == 1


async def test_a_refresh_token_expires(gateway: Gateway) -> None:
    token = (await log_in(gateway))["refreshToken"]
    gateway.clock.advance(30 * 86_400 + 1)

    assert code(await refresh(gateway, token)) == (401, "bad_refresh_token")


async def test_every_refresh_prolongs_the_session(gateway: Gateway) -> None:
    token = (await log_in(gateway))["refreshToken"]
    for _ in range(3):
        gateway.clock.advance(29 * 86_400)
        token = (await refresh(gateway, token)).json()["refreshToken"]


async def test_an_invalid_refresh_token_is_rejected(gateway: Gateway) -> None:
    for token in ("x", "A" * 43, "A" * 44, "A" * 4096, "ü", "a b", "=" * 43):
        response = await refresh(gateway, token)

        assert code(response) == (401, "bad_refresh_token")
        assert response.headers["www-authenticate"] == "Bearer"


async def test_an_access_token_is_no_refresh_token(gateway: Gateway) -> None:
    login = await log_in(gateway)

    assert code(await refresh(gateway, login["accessToken"])) == (401, "bad_refresh_token")


@pytest.mark.parametrize("old", [False, True])
async def test_logging_out_ends_the_session_also_with_an_old_token(gateway: Gateway, *, old: bool) -> None:
    first = (await log_in(gateway))["refreshToken"]
    newest = (await refresh(gateway, first)).json()["refreshToken"]
    response = await post(gateway, "logout", refreshToken=first if old else newest)

    assert (response.status_code, response.content) == (204, b"")
    assert code(await refresh(gateway, newest)) == (401, "bad_refresh_token")
    assert code(await refresh(gateway, first)) == (401, "bad_refresh_token")


async def test_logging_out_of_an_unknown_session_succeeds(gateway: Gateway) -> None:
    for token in ("x", "A" * 43):
        assert (await post(gateway, "logout", refreshToken=token)).status_code == 204


async def test_no_token_is_stored_in_plain_text(gateway: Gateway, database: Database) -> None:
    first = (await log_in(gateway))["refreshToken"]
    second = (await refresh(gateway, first, KEY)).json()["refreshToken"]
    async with await psycopg.AsyncConnection.connect(database.gateway_owner_dsn) as connection:
        cursor = await connection.execute(
            "SELECT to_jsonb(s)::text FROM gateway.session s"
            " UNION ALL SELECT to_jsonb(r)::text FROM gateway.retired_token r"
        )
        rows = "".join(row[0] for row in await cursor.fetchall())

    for token in (first, second):
        secret = base64.urlsafe_b64decode(token + "=")
        assert secret.hex() not in rows
        assert token not in rows
    assert KEY not in rows
    assert KEY.encode().hex() not in rows


async def test_logins_have_a_limit_by_address_and_name(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(ready=False, score_target="dns:///localhost:1", logins_per_minute=2)
    await post(gateway, "register", username="ada", password=PASSWORD)
    wrong = [await post(gateway, "login", username="ada", password="wrong password") for _ in range(2)]
    limited = await post(gateway, "login", username="ADA", password=PASSWORD)
    other = await post(gateway, "login", username="bob", password=PASSWORD)

    assert [code(response) for response in wrong] == [(401, "bad_credentials")] * 2
    assert code(limited) == (429, "rate_limited")
    assert 1 <= int(limited.headers["retry-after"]) <= 60
    assert code(other) == (401, "bad_credentials")


async def test_registrations_have_a_limit_by_address(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(ready=False, score_target="dns:///localhost:1", registrations_per_minute=1)
    first = await post(gateway, "register", username="ada", password=PASSWORD)
    second = await post(gateway, "register", username="bob", password=PASSWORD)

    assert first.status_code == 201
    assert code(second) == (429, "rate_limited")


async def test_addresses_behind_a_trusted_proxy_are_counted_separately(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(
        ready=False,
        score_target="dns:///localhost:1",
        registrations_per_minute=1,
        trusted_proxies=("127.0.0.1",),
    )

    async def register(username: str, address: str) -> int:
        response = await gateway.http.post(
            "/api/v1/auth/register",
            json={"username": username, "password": PASSWORD},
            headers={"X-Forwarded-For": address},
        )
        return response.status_code

    assert await register("ada", "203.0.113.1") == 201
    assert await register("bob", "::ffff:203.0.113.2") == 201
    assert await register("cyd", "[2001:db8::1]:50000") == 201
    assert await register("dan", "::ffff:203.0.113.3, ::ffff:127.0.0.1") == 201
    for address in (
        "::ffff:203.0.113.1",
        "203.0.113.1:50001",
        "[::ffff:203.0.113.1]:50001",
        "203.0.113.2",
        "2001:db8::2",
        "203.0.113.3, 127.0.0.1:443",
    ):
        assert await register("eve", address) == 429


async def test_a_client_cannot_choose_its_own_address(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(ready=False, score_target="dns:///localhost:1", registrations_per_minute=1)
    statuses = [
        (
            await gateway.http.post(
                "/api/v1/auth/register",
                json={"username": f"user{n}", "password": PASSWORD},
                headers={"X-Forwarded-For": f"203.0.113.{n}"},
            )
        ).status_code
        for n in range(2)
    ]

    assert statuses == [201, 429]
