"""Limits on a real Redis, and without it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from redis.asyncio import Redis
from tests.fixtures.network.proxy import Proxy

from action_gateway.errors import RateLimitedError, UnavailableError
from action_gateway.limits.limits import Limits, Rates
from action_gateway.limits.redis_storage import Counters, open_counters
from local_stack.servers.valkey import ValkeyServer
from service_runtime.redis.access import RedisAccess, RedisUrl

RATES = Rates(starts=2, completes=3, redeems=2, logins=2, registrations=1, exports=2, moderations=2)


class MovableTime:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
async def proxy(valkey_server: ValkeyServer, start_proxy: Callable[[str], Awaitable[Proxy]]) -> Proxy:
    return await start_proxy(f"127.0.0.1:{valkey_server.port}")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as redis:
        yield redis


@pytest.fixture
async def counters(proxy: Proxy, valkey_server: ValkeyServer, redis_prefix: str) -> AsyncIterator[Counters]:
    """Return counters that are reached through the proxy."""
    url = RedisUrl.parse(f"redis://127.0.0.1:{proxy.port}")
    async with open_counters(RedisAccess(url, valkey_server.password), redis_prefix, 5) as counters:
        yield counters


@pytest.fixture
def time() -> MovableTime:
    return MovableTime()


@pytest.fixture
def limits(counters: Counters, time: MovableTime) -> Limits:
    return Limits(counters.storage, RATES, seconds=5, monotonic=time)


@pytest.fixture
def impatient_limits(counters: Counters, time: MovableTime) -> Limits:
    """Return limits for a Redis that does not answer."""
    return Limits(counters.storage, RATES, seconds=0.5, monotonic=time)


async def test_requests_above_the_limit_are_rejected(limits: Limits) -> None:
    for _ in range(2):
        await limits.start("ada")
    with pytest.raises(RateLimitedError) as rejected:
        await limits.start("ada")

    assert 1 <= rejected.value.retry_after <= 60


async def test_users_and_operations_are_counted_separately(limits: Limits) -> None:
    for user_id in ("ada", "bob"):
        for _ in range(2):
            await limits.start(user_id)
        for _ in range(3):
            await limits.complete(user_id)


async def test_replicas_share_their_counts(counters: Counters) -> None:
    replicas = [Limits(counters.storage, RATES, seconds=5) for _ in range(3)]
    calls = [replica.complete("ada") for replica in replicas for _ in range(4)]
    results = await asyncio.gather(*calls, return_exceptions=True)

    assert Counter(map(type, results)) == {type(None): 3, RateLimitedError: 9}


@pytest.mark.parametrize("is_shared", [True, False])
async def test_limits_that_differ_share_a_count_and_each_holds(
    limits: Limits, proxy: Proxy, *, is_shared: bool
) -> None:
    if not is_shared:
        await proxy.stop()
    await limits.pay_for_issuer("match", 60, 50)
    with pytest.raises(RateLimitedError):
        await limits.pay_for_issuer("match", 100, 60)
    await limits.pay_for_issuer("match", 100, 40)
    with pytest.raises(RateLimitedError):
        await limits.pay_for_issuer("match", 60, 1)
    await limits.pay_for_issuer("match", 100, 10)


async def test_replicas_with_other_settings_share_their_counts(counters: Counters) -> None:
    strict, generous = [
        Limits(counters.storage, replace(RATES, logins=logins), seconds=5) for logins in (2, 4)
    ]
    for replica in (generous, strict, generous):
        await replica.log_in("203.0.113.1", "ada")
    with pytest.raises(RateLimitedError):
        await strict.log_in("203.0.113.1", "ada")
    await generous.log_in("203.0.113.1", "ada")
    with pytest.raises(RateLimitedError):
        await generous.log_in("203.0.113.1", "ada")


async def test_counts_that_come_together_share_round_trips_and_each_has_its_own_outcome(
    limits: Limits, proxy: Proxy
) -> None:
    users = [f"user {n}" for n in range(30)]
    await asyncio.gather(*map(limits.start, 2 * users))
    assert proxy.connections == 1

    results = await asyncio.gather(limits.complete("ada"), *map(limits.start, users), return_exceptions=True)
    assert list(map(type, results)) == [type(None), *[RateLimitedError] * len(users)]


async def test_names_are_counted_ignoring_letter_case(limits: Limits) -> None:
    await limits.log_in("203.0.113.1", "ada")
    await limits.log_in("203.0.113.1", "ADA")
    with pytest.raises(RateLimitedError):
        await limits.log_in("203.0.113.1", "Ada")
    await limits.log_in("203.0.113.2", "ada")


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("203.0.113.1", "203.0.113.1", True),
        ("203.0.113.1", "203.0.113.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::7", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("203.0.113.1", "::ffff:203.0.113.1", True),
        ("::ffff:203.0.113.1", "::FFFF:cb00:7101", True),
        ("::ffff:203.0.113.1", "::ffff:203.0.113.2", False),
        ("64:ff9b::203.0.113.1", "64:ff9b::203.0.113.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "rubbish", True),
    ],
)
async def test_spellings_of_an_address_and_addresses_of_an_ipv6_site_share_a_limit(
    limits: Limits, one: str, other: str, *, together: bool
) -> None:
    await limits.register(one)
    if together:
        with pytest.raises(RateLimitedError):
            await limits.register(other)
    else:
        await limits.register(other)


async def test_keys_have_the_prefix_and_expire(limits: Limits, redis: Redis, redis_prefix: str) -> None:
    await limits.start("ada")
    keys = [key async for key in redis.scan_iter(f"{redis_prefix}*")]

    assert keys
    assert all(key.startswith(f"{redis_prefix}limits".encode()) for key in keys)
    assert all([0 < await redis.ttl(key) <= 120 for key in keys])


@pytest.mark.parametrize("fault", ["rejected", "swallowed"])
async def test_without_redis_players_continue_under_local_limits(
    impatient_limits: Limits, proxy: Proxy, fault: str
) -> None:
    await _break(proxy, fault)
    for _ in range(2):
        await impatient_limits.start("ada")
    with pytest.raises(RateLimitedError):
        await impatient_limits.start("ada")
    await impatient_limits.start("bob")


@pytest.mark.parametrize("fault", ["rejected", "swallowed"])
async def test_without_redis_nobody_tries_passwords(
    impatient_limits: Limits, proxy: Proxy, fault: str
) -> None:
    await _break(proxy, fault)
    with pytest.raises(UnavailableError):
        await impatient_limits.log_in("203.0.113.1", "ada")
    with pytest.raises(UnavailableError):
        await impatient_limits.register("203.0.113.1")


async def test_a_redis_that_swallows_everything_is_waited_for_once_in_a_while(
    counters: Counters, proxy: Proxy, time: MovableTime
) -> None:
    # Long enough for a Redis that answers, on a busy machine too.
    limits = Limits(counters.storage, RATES, seconds=2, monotonic=time)
    await limits.start("ada")
    proxy.hold()
    await limits.start("bob")
    connections = proxy.connections
    for n in range(20):
        await limits.start(f"user {n}")

    assert proxy.connections == connections
    proxy.reset()
    proxy.release()
    time.seconds += 2
    await limits.start("ada")
    with pytest.raises(RateLimitedError):
        await limits.start("ada")


async def _break(proxy: Proxy, fault: str) -> None:
    if fault == "rejected":
        await proxy.stop()
    else:
        proxy.hold()
