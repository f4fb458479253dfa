"""Which server is asked: in a cluster, by Sentinel, and where the URL says something else than there is."""

import asyncio
from typing import Any

import pytest
from redis.crc import key_slot
from tests.fixtures.logs import LogLines
from tests.fixtures.servers.redis import access_to
from tests.fixtures.servers.valkey_nodes import SentinelSet, ValkeyCluster

from local_stack.servers.valkey import ValkeyServer
from score_service.errors import ProjectionUnavailableError
from score_service.metrics import add_call_fields
from score_service.projection.projection import Projection, ProjectionSettings
from score_service.projection.redis_servers import ServersSettings
from score_service.projection.scripts import Cache, ScriptCall
from service_runtime.redis.access import RedisAccess, RedisUrl


def settings_for(access: RedisAccess, connections_max: int = 4) -> ServersSettings:
    return ServersSettings(access, timeout=5, connections_max=connections_max, subscriptions_max=2)


def call_for(prefix: str, board_id: str) -> ScriptCall:
    keys = [f"{prefix}{{{board_id}}}:{key}" for key in ("header", "ranks", "totals")]
    return ScriptCall(keys, ["generation", ""])


def told(lines: list[dict[str, Any]]) -> list[str]:
    return [line["error"] for line in lines if line["event"] == "projection_unavailable"]


async def test_boards_of_all_nodes_are_asked_at_once_and_answered_in_order(
    valkey_cluster: ValkeyCluster, redis_prefix: str
) -> None:
    boards = [f"board-{number}" for number in range(30)]
    assert len({valkey_cluster.owner_of(board_id).port for board_id in boards}) == 3
    node = valkey_cluster.owner_of("board-7")
    node.ask("HSET", call_for(redis_prefix, "board-7").keys[0], "generation", "g", "revision", 1, "mark", "m")
    async with Cache.open(settings_for(valkey_cluster.access)) as cache:
        replies = await cache.run_each("get_header", [call_for(redis_prefix, board) for board in boards])
        policies = await cache.read_policies()

    assert [board for board, reply in zip(boards, replies, strict=True) if reply != ["missing"]] == [
        "board-7"
    ]
    assert policies == {"noeviction"}


async def test_policy_of_every_primary_counts(valkey_cluster: ValkeyCluster) -> None:
    valkey_cluster.nodes[2].ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        async with Cache.open(settings_for(valkey_cluster.access)) as cache:
            assert await cache.read_policies() == {"noeviction", "allkeys-lru"}
    finally:
        valkey_cluster.nodes[2].ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_subscription_whose_channel_has_moved_ends_and_the_next_one_follows_it(
    valkey_cluster: ValkeyCluster, redis_prefix: str
) -> None:
    channel = f"{redis_prefix}{{moved}}:changes"
    slot, source = key_slot(b"moved"), valkey_cluster.owner_of("moved")
    target = next(node for node in valkey_cluster.nodes if node is not source)
    async with Cache.open(settings_for(valkey_cluster.access)) as cache:
        async with cache.subscribe(channel) as messages:
            valkey_cluster.begin_move(slot, source, target)
            source.ask("SPUBLISH", channel, "before")
            assert await anext(messages) == "before"
            valkey_cluster.end_move(slot, target)
            with pytest.raises(StopAsyncIteration):
                await anext(messages)
        async with cache.subscribe(channel) as messages:
            target.ask("SPUBLISH", channel, "after")
            assert await anext(messages) == "after"


async def test_check_asks_every_primary(valkey_cluster: ValkeyCluster, redis_prefix: str) -> None:
    settings = ProjectionSettings(valkey_cluster.access, prefix=redis_prefix, timeout=5)
    async with Projection.open(settings) as projection:
        assert await projection.check() is None
        for node in valkey_cluster.nodes:
            node.ask("CONFIG", "SET", "min-replicas-to-write", 1)
            try:
                assert str(await projection.check()).startswith("rejects writes: fewer replicas")
            finally:
                node.ask("CONFIG", "SET", "min-replicas-to-write", 0)
    assert valkey_cluster.denied() == []


async def test_node_of_a_cluster_that_is_named_as_one_server_is_reported(
    valkey_cluster: ValkeyCluster, redis_prefix: str, log_lines: LogLines
) -> None:
    lines = log_lines(add_call_fields)
    other = next(node for node in valkey_cluster.nodes if node is not valkey_cluster.owner_of("main"))
    access = RedisAccess(RedisUrl.parse(f"redis://score-service@127.0.0.1:{other.port}"), other.password)
    async with Cache.open(settings_for(access)) as cache:
        with pytest.raises(ProjectionUnavailableError):
            await cache.run("get_header", call_for(redis_prefix, "main"))

    assert told(lines()) == ["use redis+cluster://"]


async def test_one_server_that_is_named_as_a_cluster_is_reported(
    valkey_server: ValkeyServer, redis_prefix: str, log_lines: LogLines
) -> None:
    lines = log_lines(add_call_fields)
    url = RedisUrl.parse(f"redis+cluster://127.0.0.1:{valkey_server.port}")
    async with Cache.open(settings_for(RedisAccess(url, valkey_server.password))) as cache:
        with pytest.raises(ProjectionUnavailableError):
            await cache.run("get_header", call_for(redis_prefix, "main"))

    assert "cluster support disabled" in told(lines())[0]


async def test_callers_wait_while_all_connections_are_in_use(
    sentinel_set: SentinelSet, valkey_server: ValkeyServer, valkey_cluster: ValkeyCluster, redis_prefix: str
) -> None:
    login = sentinel_set.login
    by_sentinel = RedisAccess(
        RedisUrl.parse(login.url),
        login.password_file.read_text(encoding="ascii"),
        sentinel_set.sentinel_password_file.read_text(encoding="ascii"),
    )
    for access in (by_sentinel, access_to(valkey_server), valkey_cluster.access):
        async with Cache.open(settings_for(access, connections_max=1)) as cache:
            calls = [cache.run("get_header", call_for(redis_prefix, "main")) for _ in range(20)]
            assert await asyncio.gather(*calls) == [["missing"]] * 20
