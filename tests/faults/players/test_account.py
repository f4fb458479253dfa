"""Users of a real gateway, and how they keep an access token."""

import math
from collections.abc import AsyncIterator

import psycopg
import pytest
from tests.fixtures.services.gateway import Gateway

from faults.players.account import Account
from faults.players.gateway_client import GatewayClient, NotNowError, UnexpectedAnswerError


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[GatewayClient]:
    client = GatewayClient.to(gateway.url)
    async with client.http:
        yield client


async def test_user_that_nobody_knows_registers_and_logs_in(client: GatewayClient) -> None:
    account = Account(client, "ada-lovelace")
    assert account.user_id is None
    token = await account.token()
    assert account.user_id
    assert await account.token() == token


async def test_user_whose_registration_lost_its_answer_logs_in(client: GatewayClient) -> None:
    await Account(client, "ada-lovelace")._register()
    account = Account(client, "ada-lovelace")
    await account._register()
    assert await account.token()


async def test_rejected_token_is_refreshed(client: GatewayClient) -> None:
    account = Account(client, "ada-lovelace")
    token, refresh_token, user_id = await account.token(), account._refresh_token, account.user_id
    account.reject(token)
    assert await account.token() != token
    assert account._refresh_token != refresh_token
    assert account.user_id == user_id


async def test_token_that_was_replaced_already_is_not_rejected_again(client: GatewayClient) -> None:
    account = Account(client, "ada-lovelace")
    token = await account.token()
    account.reject(token)
    newer = await account.token()
    account.reject(token)
    assert await account.token() == newer


async def test_token_that_will_soon_expire_is_refreshed(client: GatewayClient) -> None:
    account = Account(client, "ada-lovelace")
    token = await account.token()
    account._renew_at = 0.0
    assert await account.token() != token


async def test_careless_user_keeps_a_token_until_it_is_rejected(client: GatewayClient) -> None:
    account = Account(client, "ada-lovelace", is_careless=True)
    token = await account.token()
    assert account._renew_at == math.inf
    account.reject(token)
    assert await account.token() != token


async def test_user_whose_session_is_gone_logs_in(client: GatewayClient) -> None:
    account = Account(client, "ada-lovelace")
    token, user_id = await account.token(), account.user_id
    account.reject(token)
    account._refresh_token = "gone"
    assert await account.token()
    assert account.user_id == user_id


async def test_user_whom_a_restore_has_forgotten_registers_anew(
    gateway: Gateway, client: GatewayClient
) -> None:
    account = Account(client, "ada-lovelace")
    token, user_id = await account.token(), account.user_id
    account.reject(token)
    with psycopg.connect(gateway.database.gateway_owner_dsn) as connection:
        connection.execute("TRUNCATE gateway.account CASCADE")
    assert await account.token()
    assert account.user_id != user_id


async def test_gateway_that_is_unavailable_gives_no_token() -> None:
    client = GatewayClient.to("http://127.0.0.1:1")
    async with client.http:
        with pytest.raises(NotNowError):
            await Account(client, "ada-lovelace").token()


async def test_name_that_no_gateway_takes_ends_the_run(client: GatewayClient) -> None:
    with pytest.raises(UnexpectedAnswerError):
        await Account(client, "no blanks")._register()
