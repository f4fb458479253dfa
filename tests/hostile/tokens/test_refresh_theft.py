"""A refresh token that was stolen (RFC 9700, 4.14): thief and victim never both continue."""

import asyncio
from dataclasses import dataclass

import pytest
from tests.fixtures.services.gateway import Gateway, StartGateway

PASSWORD = "correct horse battery"
GRACE = 30


@dataclass(slots=True)
class Holder:
    """Someone who holds a refresh token, and asks for the next one with it."""

    gateway: Gateway
    token: str
    access_token: str = ""

    async def refresh(self, key: str | None = None) -> bool:
        """Refresh the session; return whether that succeeded."""
        response = await self.gateway.http.post(
            "/api/v1/auth/refresh",
            json={"refreshToken": self.token},
            headers={} if key is None else {"Idempotency-Key": key},
        )
        if response.status_code == 200:
            self.token, self.access_token = response.json()["refreshToken"], response.json()["accessToken"]
            return True
        assert (response.status_code, response.json()["code"]) == (401, "bad_refresh_token")
        return False

    async def is_let_in(self) -> bool:
        headers = {"Authorization": f"Bearer {self.access_token}"}
        response = await self.gateway.http.get("/api/v1/actions", headers=headers)
        return response.status_code != 401

    def robbed(self) -> "Holder":
        """Return who else has the token now."""
        return Holder(self.gateway, self.token)


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    """Return a gateway without a score service, which sessions do not need."""
    return await start_gateway(ready=False, score_target="dns:///localhost:1", score_timeout_seconds=1)


@pytest.fixture
async def victim(gateway: Gateway) -> Holder:
    return await log_in(gateway, "ada")


async def log_in(gateway: Gateway, username: str) -> Holder:
    credentials = {"username": username, "password": PASSWORD}
    await gateway.http.post("/api/v1/auth/register", json=credentials)
    login = (await gateway.http.post("/api/v1/auth/login", json=credentials)).json()
    return Holder(gateway, login["refreshToken"], login["accessToken"])


async def test_a_late_thief_ends_the_session_for_both(gateway: Gateway, victim: Holder) -> None:
    thief = victim.robbed()
    assert await victim.refresh()
    gateway.clock.advance(GRACE + 1)

    assert not await thief.refresh()
    assert not await victim.refresh()


async def test_an_early_thief_loses_the_session_once_the_victim_refreshes(
    gateway: Gateway, victim: Holder
) -> None:
    thief = victim.robbed()
    assert await thief.refresh()
    gateway.clock.advance(GRACE + 1)

    assert not await victim.refresh()
    assert not await thief.refresh()


async def test_a_thief_who_refreshed_repeatedly_loses_the_session_once_the_victim_refreshes(
    gateway: Gateway, victim: Holder
) -> None:
    thief = victim.robbed()
    for _ in range(3):
        assert await thief.refresh()
        gateway.clock.advance(1)

    # Within the time in which a lost answer is given again, but the token is not the one before the newest.
    assert not await victim.refresh()
    assert not await thief.refresh()


async def test_within_the_grace_period_both_hold_one_token_and_the_next_refresh_detects_the_theft(
    gateway: Gateway, victim: Holder
) -> None:
    thief = victim.robbed()
    assert await thief.refresh()
    assert await victim.refresh()
    assert victim.token == thief.token

    assert await victim.refresh()
    gateway.clock.advance(GRACE + 1)
    assert not await thief.refresh()
    assert not await victim.refresh()


@pytest.mark.parametrize("thiefs_key", [None, "a-guess"])
async def test_a_stolen_token_without_its_key_ends_the_session(
    gateway: Gateway, victim: Holder, thiefs_key: str | None
) -> None:
    for order in ("victim first", "thief first"):
        holder = await log_in(gateway, "ada")
        thief = holder.robbed()
        keys = [(holder, "the-key-of-the-victim"), (thief, thiefs_key)]
        first, second = keys if order == "victim first" else reversed(keys)
        assert await first[0].refresh(first[1])
        gateway.clock.advance(GRACE + 1)

        assert not await second[0].refresh(second[1])
        assert not await first[0].refresh(first[1])


async def test_a_stolen_token_with_its_key_works_until_the_next_refresh(
    gateway: Gateway, victim: Holder
) -> None:
    thief = victim.robbed()
    assert await victim.refresh("key")
    gateway.clock.advance(GRACE + 1)
    assert await thief.refresh("key")
    assert victim.token == thief.token

    assert await victim.refresh("next-key")
    gateway.clock.advance(GRACE + 1)
    assert not await thief.refresh("key")
    assert not await victim.refresh()


async def test_an_ended_session_stays_ended(gateway: Gateway, victim: Holder) -> None:
    tokens = [victim.token]
    for _ in range(3):
        await victim.refresh()
        tokens.append(victim.token)
    assert not await Holder(gateway, tokens[0]).refresh()

    for seconds in (0, GRACE + 1, 86_400):
        gateway.clock.advance(seconds)
        for token in tokens:
            assert not await Holder(gateway, token).refresh()


async def test_the_victim_logs_in_again_and_no_old_token_harms_the_new_session(
    gateway: Gateway, victim: Holder
) -> None:
    stolen = victim.robbed()
    await victim.refresh()
    gateway.clock.advance(GRACE + 1)
    await stolen.refresh()
    again = await log_in(gateway, "ada")

    assert not await stolen.refresh()
    assert not await victim.refresh()
    assert await again.refresh()


async def test_other_sessions_do_not_end(gateway: Gateway, victim: Holder) -> None:
    bob = await log_in(gateway, "bob")
    thief = victim.robbed()
    await victim.refresh()
    gateway.clock.advance(GRACE + 1)
    assert not await thief.refresh()

    assert await bob.refresh()


async def test_an_issued_access_token_expires_by_itself(gateway: Gateway, victim: Holder) -> None:
    thief = victim.robbed()
    assert await thief.refresh()
    gateway.clock.advance(GRACE + 1)
    assert not await victim.refresh()

    assert await thief.is_let_in()
    gateway.clock.advance(900)
    assert not await thief.is_let_in()
    assert not await victim.is_let_in()


async def test_after_concurrent_use_by_thief_and_victim_neither_has_a_valid_token(
    start_gateway: StartGateway, gateway: Gateway, victim: Holder
) -> None:
    other = await start_gateway(ready=False, score_target="dns:///localhost:1", score_timeout_seconds=1)
    old = victim.token
    await victim.refresh()
    await victim.refresh()
    holders = [
        Holder((gateway, other)[n % 2], token)
        for n, token in enumerate([old, victim.token, victim.token] * 4)
    ]
    await asyncio.gather(*(holder.refresh() for holder in holders))

    for holder in holders:
        assert not await holder.refresh()
