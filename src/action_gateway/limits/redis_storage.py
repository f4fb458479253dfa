"""Where limits are counted: Redis, as one server, as the primary that Sentinel names, or as a cluster.

Invariants:
- Nothing is sent again after a connection was lost: a count that was sent twice would be counted twice.
- A Redis whose `maxmemory` is reached rejects every count as a whole, so that no key is added to it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from limits.aio.storage import RedisClusterStorage, RedisStorage
from limits.errors import StorageError
from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from action_gateway.limits.shared_storage import SharedStorage
from service_runtime.redis.access import RedisAccess
from service_runtime.redis.connections import Connector, TlsConnection
from service_runtime.redis.slots import find_hash_tag

_CONNECTIONS: Final = 50
_CHECKS_MAX: Final = 1 << 30
_CHECK_SECONDS: Final = 60
_REJECTED_WHOLE: Final = b"#!lua\n"
"""The first line of a script that Redis rejects before its first command, or not at all."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Counts that all replicas share."""

    storage: RedisStorage
    check: Callable[[], Awaitable[None]]
    """Counts as limits do, on every primary. Raises StorageError where one does not let it."""


class _ClusterStorage(RedisClusterStorage):
    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """Name what means that Redis is unavailable."""
        # As of 8.1 redis-py raises the last one where a slot moves to a node that has none yet.
        return RedisError, RedisClusterException, AttributeError


@asynccontextmanager
async def open_counters(access: RedisAccess, prefix: str, seconds: float) -> AsyncIterator[Counters]:
    """Make the connection pools, whether or not Redis is there, and close them at the end.

    Args:
        access: how Redis is reached.
        prefix: the first part of every key.
        seconds: how long to wait for a connection or an answer.
    """
    key_prefix = f"{prefix}limits"
    async with AsyncExitStack() as stack:
        if access.url.topology == "cluster":
            storage = _make_cluster_storage(access, key_prefix, seconds)
            cluster: Any = storage.bridge.storage  # type: ignore[attr-defined]  # It made the client.
            if access.url.is_tls:
                _have_files_read_again(cluster)
            stack.push_async_callback(cluster.aclose)
            _have_scripts_rejected_whole(storage)
            yield Counters(storage, partial(_check_cluster, storage, cluster))
        else:
            connector = await Connector.open(stack, access, _timeouts(seconds), seconds)
            pool = connector.blocking_pool(_CONNECTIONS, seconds)
            redis = await stack.enter_async_context(Redis.from_pool(pool))
            single = SharedStorage(redis, key_prefix)
            _have_scripts_rejected_whole(single)
            yield Counters(single, partial(_count_check, single, "check"))


def _have_scripts_rejected_whole(storage: RedisStorage) -> None:
    """Register what `limits` runs here once more: its scripts do not declare that they write.

    One that has renamed the key of a window that turned would go on at `maxmemory`, and set a new key.
    """
    bridge: Any = storage.bridge  # It has more than the library declares.
    register = bridge.get_connection().register_script
    bridge.lua_acquire_sliding_window = register(_REJECTED_WHOLE + bridge.SCRIPT_ACQUIRE_SLIDING_WINDOW)
    bridge.lua_sliding_window = register(_REJECTED_WHOLE + bridge.SCRIPT_SLIDING_WINDOW)


async def _count_check(storage: RedisStorage, key: str) -> None:
    await storage.acquire_sliding_window_entry(key, _CHECKS_MAX, _CHECK_SECONDS)


async def _check_cluster(storage: RedisClusterStorage, cluster: Any) -> None:
    try:
        await cluster.initialize()
    except storage.base_exceptions as error:
        raise StorageError(error) from error
    slots = dict[str, int]()
    for slot, (primary, *_) in cluster.nodes_manager.slots_cache.items():
        slots.setdefault(primary.name, slot)
    await asyncio.gather(*(_count_check(storage, find_hash_tag(slot)) for slot in slots.values()))


def _make_cluster_storage(access: RedisAccess, key_prefix: str, seconds: float) -> RedisClusterStorage:
    options: dict[str, Any] = access.options() | _timeouts(seconds)
    options |= {
        "startup_nodes": [ClusterNode(host, port) for host, port in access.url.hosts],
        "ssl": access.url.is_tls,
        "require_full_coverage": False,  # Those whose slots are served are counted.
    }
    return _ClusterStorage(
        "redis+cluster://", wrap_exceptions=True, implementation="redispy", key_prefix=key_prefix, **options
    )


def _have_files_read_again(cluster: Any) -> None:
    """Change what the client connects with: it takes no other class from its caller."""
    cluster.connection_kwargs["connection_class"] = TlsConnection
    for node in cluster.nodes_manager.startup_nodes.values():
        node.connection_class = TlsConnection


def _timeouts(seconds: float) -> dict[str, Any]:
    return {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),
    }
