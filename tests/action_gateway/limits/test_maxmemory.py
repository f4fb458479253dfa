"""Counters in a Redis whose `maxmemory` is reached: nothing is counted, whatever makes room on the way."""

import asyncio

import pytest
from limits.errors import StorageError
from tests.fixtures.servers.rejecting_redis import RejectingRedis
from tests.fixtures.servers.valkey_nodes import ValkeyCluster

from action_gateway.limits.redis_storage import Counters, open_counters
from service_runtime.redis.access import RedisAccess, RedisUrl

MINUTE = 60


async def count(counters: Counters, *users: str) -> list[object]:
    """Count a hit of each user at once, and return what came of each."""
    entries = (counters.storage.acquire_sliding_window_entry(user, 10, MINUTE) for user in users)
    return await asyncio.gather(*entries, return_exceptions=True)


async def test_full_redis_counts_nobody_also_where_a_window_has_turned(
    rejecting_redis: RejectingRedis, redis_prefix: str
) -> None:
    async with open_counters(rejecting_redis.access, redis_prefix, 5) as counters:
        assert await count(counters, "ada") == [True]
        await counters.check()
        keys = sorted(await rejecting_redis.ask("KEYS", "*"))
        for key in keys:
            await rejecting_redis.ask("PEXPIRE", key, MINUTE * 1000 // 2)
        await rejecting_redis.reject("full")

        ends = await count(counters, "ada", *(f"user{number}" for number in range(99)))
        with pytest.raises(StorageError):
            await counters.check()
        with pytest.raises(StorageError):
            await counters.storage.get_sliding_window("ada", MINUTE)

        assert set(map(type, ends)) == {StorageError}
        assert sorted(await rejecting_redis.ask("KEYS", "*")) == keys
        await rejecting_redis.accept("full")
        await counters.check()
        assert await count(counters, "ada", "bob") == [True, True]


async def test_full_cluster_counts_nobody_also_where_a_window_has_turned(
    valkey_cluster: ValkeyCluster, redis_prefix: str
) -> None:
    nodes = valkey_cluster.nodes
    access = RedisAccess(RedisUrl.parse(valkey_cluster.url("action-gateway")), nodes[0].password)
    async with open_counters(access, redis_prefix, 5) as counters:
        users = [f"user{number}" for number in range(30)]
        await counters.check()
        assert await count(counters, *users) == [True] * 30
        for node in nodes:
            for key in node.ask("KEYS", f"{redis_prefix}*"):
                node.ask("PEXPIRE", key, MINUTE * 1000 // 2)
        keys = [sorted(node.ask("KEYS", "*")) for node in nodes]
        try:
            for node in nodes:
                node.ask("CONFIG", "SET", "maxmemory", 1)
            ends = await count(counters, *users)
            with pytest.raises(StorageError):
                await counters.check()
            with pytest.raises(StorageError):
                await counters.storage.get_sliding_window("user1", MINUTE)
            assert [sorted(node.ask("KEYS", "*")) for node in nodes] == keys
        finally:
            for node in nodes:
                node.ask("CONFIG", "SET", "maxmemory", 0)

        assert set(map(type, ends)) == {StorageError}
        await counters.check()
        assert await count(counters, *users) == [True] * 30
