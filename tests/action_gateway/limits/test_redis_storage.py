"""Limits on a cluster of Redis, and through a failover by Sentinel."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from redis.crc import key_slot
from tests.fixtures.servers.stores import eventually
from tests.fixtures.servers.valkey_nodes import SentinelSet, ValkeyCluster

from action_gateway.errors import RateLimitedError, UnavailableError
from action_gateway.limits.limits import Limits, Rates
from action_gateway.limits.redis_storage import Counters, open_counters
from service_runtime.redis.access import RedisAccess, RedisUrl

RATES = Rates(starts=1000, completes=3, redeems=2, logins=1000, registrations=1, exports=2, moderations=2)


def access_to(url: str, password: str, sentinel_password: str | None = None) -> RedisAccess:
    return RedisAccess(RedisUrl.parse(url), password, sentinel_password)


@pytest.fixture
async def on_cluster(valkey_cluster: ValkeyCluster, redis_prefix: str) -> AsyncIterator[Counters]:
    access = access_to(valkey_cluster.url("action-gateway"), valkey_cluster.nodes[0].password)
    async with open_counters(access, redis_prefix, 1) as counters:
        yield counters


async def is_counted(limits: Limits, user_id: str) -> bool:
    """Return whether a login is counted in Redis."""
    try:
        await limits.log_in("203.0.113.1", user_id)
    except UnavailableError:
        return False
    return True


async def outcomes(calls: Sequence[Callable[[str], object]], user_id: str) -> Counter[type]:
    ends = await asyncio.gather(*(call(user_id) for call in calls), return_exceptions=True)  # type: ignore[call-overload]
    return Counter(map(type, ends))


async def test_replicas_share_their_counts_on_a_cluster(
    on_cluster: Counters, valkey_cluster: ValkeyCluster
) -> None:
    await on_cluster.check()
    replicas = [Limits(on_cluster.storage, RATES, seconds=5) for _ in range(3)]
    for user_id in ("ada", "bob", "cleo", "dan"):
        calls = [replica.complete for replica in replicas for _ in range(4)]
        assert await outcomes(calls, user_id) == {type(None): 3, RateLimitedError: 9}
    assert valkey_cluster.denied() == []


async def test_players_continue_while_slots_move_and_nodes_fail(
    on_cluster: Counters, valkey_cluster: ValkeyCluster, redis_prefix: str
) -> None:
    limits = Limits(on_cluster.storage, RATES, seconds=5)
    users = [f"user{number}" for number in range(9)]
    for user_id in users:
        await limits.log_in("203.0.113.1", user_id)
    source, [key] = next(
        (node, keys) for node in valkey_cluster.nodes if (keys := node.ask("KEYS", f"{redis_prefix}*user0*"))
    )
    slot = key_slot(key.encode())
    target = next(node for node in valkey_cluster.nodes if node is not source)
    valkey_cluster.begin_move(slot, source, target)
    while valkey_cluster.move_keys(slot, source, target, 10):
        pass
    await limits.start("user0")
    valkey_cluster.end_move(slot, target)
    await limits.log_in("203.0.113.1", "user0")

    source.kill()
    for user_id in users:
        await limits.start(user_id)
    rejected = [user_id for user_id in users if not await is_counted(limits, user_id)]
    assert rejected
    source.spawn()

    async def are_counted() -> bool:
        return all([await is_counted(limits, user_id) for user_id in users])

    await eventually(are_counted)


async def test_counts_follow_the_primary_that_sentinel_reports(
    sentinel_set: SentinelSet, redis_prefix: str
) -> None:
    login = sentinel_set.login
    passwords = [file.read_text() for file in (login.password_file, sentinel_set.sentinel_password_file)]
    async with open_counters(access_to(login.url, *passwords), redis_prefix, 1) as counters:
        limits = Limits(counters.storage, RATES, seconds=5)
        await limits.log_in("203.0.113.1", "ada")
        await counters.check()
        current = await sentinel_set.fail_over()
        await limits.start("ada")

        await eventually(lambda: is_counted(limits, "ada"))
    assert current.ask("DBSIZE") > 0
