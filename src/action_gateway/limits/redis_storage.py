"""Where limits are counted: Redis, as one server, as the primary that Sentinel names, or as a cluster.

Nothing is sent again after a connection was lost: a count that was sent twice would be counted twice.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from limits.aio.storage import RedisClusterStorage, RedisStorage
from redis.asyncio import (
    BlockingConnectionPool,
    Connection,
    ConnectionPool,
    Redis,
    RedisCluster,
    Sentinel,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool, SentinelManagedConnection
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from action_gateway.redis_access import RedisAccess

_CONNECTIONS: Final = 50
_SENTINELS_WITHIN: Final = 3
"""The part of a count's time that one Sentinel may take, so that there is time to ask another one."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Counts that all replicas share."""

    storage: RedisStorage
    ping: Callable[[], Awaitable[Any]]
    """Fails where Redis is away, or a part of it."""


class _ClusterStorage(RedisClusterStorage):
    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """Name what means that Redis is away."""
        # As of 8.1 redis-py raises the last one where a slot moves to a node that has none yet.
        return RedisError, RedisClusterException, AttributeError


class _TlsConnection(SSLConnection):
    """Reads its files whenever it connects: its pool has it connect again as long as the process runs."""

    def _connection_arguments(self) -> Mapping[str, Any]:
        self.ssl_context.context = None
        return super()._connection_arguments()


class _SentinelTlsConnection(SentinelManagedConnection, _TlsConnection):
    """The same, to the primary that Sentinel names."""


class _BlockingSentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to the primary that Sentinel names; who finds all of them in use waits."""


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
            yield Counters(storage, lambda: cluster.ping(target_nodes=RedisCluster.PRIMARIES))
        else:
            pool = await _make_pool(stack, access, seconds)
            redis = await stack.enter_async_context(Redis.from_pool(pool))
            yield Counters(
                RedisStorage(
                    "redis://",
                    wrap_exceptions=True,
                    implementation="redispy",
                    key_prefix=key_prefix,
                    connection_pool=pool,  # type: ignore[arg-type]  # Passed on; the annotation is too narrow.
                ),
                redis.ping,
            )


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
    cluster.connection_kwargs["connection_class"] = _TlsConnection
    for node in cluster.nodes_manager.startup_nodes.values():
        node.connection_class = _TlsConnection


async def _make_pool(stack: AsyncExitStack, access: RedisAccess, seconds: float) -> ConnectionPool:
    url = access.url
    options = access.options() | _timeouts(seconds)
    options |= {"max_connections": _CONNECTIONS, "timeout": seconds}
    if url.topology == "sentinel":
        sentinel = await stack.enter_async_context(_make_sentinel(access, seconds))
        managed = _SentinelTlsConnection if url.is_tls else SentinelManagedConnection
        options |= {"service_name": url.service, "sentinel_manager": sentinel, "connection_class": managed}
        return _BlockingSentinelPool(**options)  # type: ignore[no-untyped-call]
    if url.socket:
        return BlockingConnectionPool(connection_class=UnixDomainSocketConnection, path=url.socket, **options)
    kind, (host, port) = _TlsConnection if url.is_tls else Connection, url.hosts[0]
    return BlockingConnectionPool(connection_class=kind, host=host, port=port, **options)


def _make_sentinel(access: RedisAccess, seconds: float) -> Sentinel:
    options = access.sentinel_options() | _timeouts(seconds / _SENTINELS_WITHIN)
    sentinel = Sentinel(access.url.hosts, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
    if access.url.is_tls:
        for client in sentinel.sentinels:
            client.connection_pool.connection_class = _TlsConnection
    return sentinel


def _timeouts(seconds: float) -> dict[str, Any]:
    return {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),
    }
