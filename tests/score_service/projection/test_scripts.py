"""The way to Redis: bounded, and given up for a while once it has failed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis
from tests.fixtures.clocks import SetClock
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.redis import access_to
from tests.fixtures.servers.rejecting_redis import RejectingRedis
from tests.fixtures.servers.stores import eventually

from local_stack.servers.valkey import ValkeyServer
from score_service.errors import ProjectionUnavailableError
from score_service.projection import scripts as scripts_module
from score_service.projection.breaker import PROBE_SECONDS, Breaker
from score_service.projection.redis_servers import ServersSettings
from score_service.projection.scripts import Cache, ScriptCall


@pytest.fixture
def clock() -> SetClock:
    return SetClock(100.0)


@pytest.fixture
async def cache(valkey_server: ValkeyServer, redis_proxy: Proxy, clock: SetClock) -> AsyncIterator[Cache]:
    """Return a way through the proxy, with a breaker whose time a test moves on."""
    access = access_to(replace(valkey_server, port=redis_proxy.port))
    settings = ServersSettings(access, timeout=0.5, connections_max=4, subscriptions_max=2)
    async with Cache.open(settings) as cache:
        [server] = await cache._servers.list_primaries(0)
        server.breaker = Breaker(clock)
        yield cache


@pytest.fixture
def get_header(redis_prefix: str) -> ScriptCall:
    return ScriptCall([f"{redis_prefix}{key}" for key in ("header", "ranks", "totals")], ["generation", ""])


async def fails(cache: Cache, call: ScriptCall) -> bool:
    try:
        await cache.run("get_header", call)
    except ProjectionUnavailableError:
        return True
    return False


async def count_pings(redis: Redis) -> int:
    return int((await redis.info("commandstats")).get("cmdstat_ping", {"calls": 0})["calls"])


async def test_black_hole_is_waited_for_once_and_then_by_one_probe_a_second(
    cache: Cache, redis_proxy: Proxy, clock: SetClock, get_header: ScriptCall
) -> None:
    assert not await fails(cache, get_header)
    redis_proxy.hold()
    assert await fails(cache, get_header)
    redis_proxy.release()

    # It is there again, but nobody asks it yet.
    assert await fails(cache, get_header)
    clock.now += PROBE_SECONDS
    assert not await fails(cache, get_header)
    assert not await fails(cache, get_header)


async def test_while_a_probe_waits_all_others_fail_at_once(
    cache: Cache, redis_proxy: Proxy, clock: SetClock, get_header: ScriptCall
) -> None:
    redis_proxy.hold()
    assert await fails(cache, get_header)
    clock.now += PROBE_SECONDS
    probe = asyncio.create_task(fails(cache, get_header))
    await asyncio.sleep(0)
    redis_proxy.release()

    assert await fails(cache, get_header)
    assert not await probe


async def test_subscription_to_a_black_hole_fails(
    cache: Cache, redis_proxy: Proxy, clock: SetClock, get_header: ScriptCall
) -> None:
    redis_proxy.hold()
    assert await fails(cache, get_header)
    redis_proxy.release()

    with pytest.raises(ProjectionUnavailableError):
        async with cache.subscribe("channel"):
            pass
    clock.now += PROBE_SECONDS
    async with cache.subscribe("channel"):
        pass


async def test_subscription_that_loses_its_connection_stops_nothing_else(
    cache: Cache, redis_proxy: Proxy, get_header: ScriptCall
) -> None:
    async with cache.subscribe("channel") as messages:
        redis_proxy.hold()
        redis_proxy.reset()
        with pytest.raises(ProjectionUnavailableError):
            await anext(messages)
        redis_proxy.release()

    assert not await fails(cache, get_header)


async def test_subscription_notices_that_its_network_drops_everything(
    cache: Cache, redis_proxy: Proxy
) -> None:
    async with cache.subscribe("channel") as messages:
        redis_proxy.hold()
        with pytest.raises(ProjectionUnavailableError):
            await anext(messages)


async def test_quiet_channel_stays_subscribed_until_something_is_published(
    cache: Cache, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts_module, "_QUIET_SECONDS", 0.01)
    async with cache.subscribe("channel") as messages, Redis.from_url(redis_url) as redis:
        message = asyncio.ensure_future(anext(messages))
        pings = await count_pings(redis)
        while await count_pings(redis) < pings + 3:
            assert not message.done()
        await redis.spublish("channel", "said")

        assert await message == "said"


async def test_subscription_lasts_while_a_failed_snapshot_has_redis_reject_even_ping(
    rejecting_redis: RejectingRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts_module, "_QUIET_SECONDS", 0.01)
    settings = ServersSettings(rejecting_redis.access, timeout=5, connections_max=4, subscriptions_max=2)
    async with Cache.open(settings) as cache, cache.subscribe("channel") as messages:
        message = asyncio.ensure_future(anext(messages))
        await rejecting_redis.reject("failed_snapshot")

        async def has_rejected_some() -> bool:
            stats = await rejecting_redis.ask("INFO", "commandstats")
            return bool(stats["cmdstat_ping"]["rejected_calls"] > 2)

        await eventually(has_rejected_some)
        await rejecting_redis.ask("SPUBLISH", "channel", "said")

        assert await message == "said"


async def test_redis_py_reads_the_pong_of_a_subscriber_letter_by_letter(cache: Cache, redis_url: str) -> None:
    """It is no message of the channel, whatever it is: `_messages` passes over all other types."""
    [server] = await cache._servers.list_primaries(0)
    pubsub = server.subscriber.pubsub()
    await pubsub.ssubscribe("channel")
    assert (await pubsub.get_message(timeout=None))["type"] == "ssubscribe"
    await pubsub.ping()
    assert await pubsub.get_message(timeout=None) == {
        "type": "P",
        "pattern": None,
        "channel": "O",
        "data": "N",
    }
    async with Redis.from_url(redis_url) as redis:
        await redis.spublish("channel", "said")
    assert (await pubsub.get_message(timeout=None))["data"] == "said"
    await pubsub.aclose()


async def test_subscriptions_beyond_the_limit_are_rejected(cache: Cache) -> None:
    async with cache.subscribe("one"), cache.subscribe("two"):
        with pytest.raises(ProjectionUnavailableError):
            async with cache.subscribe("three"):
                pass
    async with cache.subscribe("three"):
        pass


async def test_script_that_fails_does_not_stop_the_others(
    cache: Cache, redis_url: str, get_header: ScriptCall
) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.set(get_header.keys[0], "no hash")
        assert await fails(cache, get_header)
        await redis.delete(get_header.keys[0])

    assert not await fails(cache, get_header)


async def test_server_that_was_demoted_is_left(
    cache: Cache, redis_url: str, redis_proxy: Proxy, redis_prefix: str
) -> None:
    keys = [f"{redis_prefix}{key}" for key in ("header", "ranks", "totals", "steps", "making")]
    load = ScriptCall(keys, ["g", "", "1", "60", "new", "", "ada 5 1"])
    async with Redis.from_url(redis_url) as redis:
        await redis.replicaof(*redis_url.rpartition("@")[2].removesuffix("/0").split(":"))
        try:
            with pytest.raises(ProjectionUnavailableError):
                await cache.run("load_standings", load)
        finally:
            await redis.replicaof("NO", "ONE")
    connections = redis_proxy.connections

    assert await cache.run("load_standings", load) == "loaded"
    assert redis_proxy.connections == connections + 1


async def test_each_call_of_many_is_answered_in_order(cache: Cache, redis_prefix: str) -> None:
    calls = [
        ScriptCall([f"{redis_prefix}{i}{key}" for key in ("header", "ranks", "totals")], ["g", ""])
        for i in range(3)
    ]

    assert await cache.run_each("get_header", calls) == [["missing"]] * 3
    assert await cache.run_each("get_header", []) == []


async def test_scripts_that_redis_forgot_are_loaded_again(
    cache: Cache, redis_url: str, get_header: ScriptCall
) -> None:
    async with Redis.from_url(redis_url) as redis:
        for _ in range(2):
            await redis.script_flush()
            assert await cache.run("get_header", get_header) == ["missing"]
            await redis.script_flush()
            assert await cache.run_each("get_header", [get_header]) == [["missing"]]


async def test_policy_is_reported(cache: Cache, redis_url: str) -> None:
    assert await cache.read_policies() == {"noeviction"}
    async with Redis.from_url(redis_url) as redis:
        await redis.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert await cache.read_policies() == {"allkeys-lru"}
        finally:
            await redis.config_set("maxmemory-policy", "noeviction")
