"""Pools of connections to Redis: one server, the primary that Sentinel names, or the nodes of a cluster.

redis-py reads the files of TLS once a pool, so that a replaced certificate or authority would count only
after a restart; here they are read whenever a connection is made.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, Self

from redis.asyncio import (
    BlockingConnectionPool,
    Connection,
    ConnectionPool,
    Sentinel,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, SentinelConnectionPool, SentinelManagedConnection
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from service_runtime.redis.access import RedisAccess

_SENTINELS_WITHIN: Final = 3
"""The part of an operation's time that one Sentinel may take, so that there is time to ask another one."""

_Address = tuple[str, int]


class TlsConnection(SSLConnection):
    """Reads its files whenever it connects: its pool has it connect again as long as the process runs."""

    def _connection_arguments(self) -> Mapping[str, Any]:
        self.ssl_context.context = None
        return super()._connection_arguments()


class _SentinelTlsConnection(SentinelManagedConnection, TlsConnection):
    """The same, to the primary that Sentinel names."""


class _BlockingSentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to the primary that Sentinel names; while all of them are in use, callers wait."""


class _Sentinels(Sentinel):
    """Asks one Sentinel after the other for the primary, and reports in short what each of them said."""

    async def discover_master(self, service_name: str) -> _Address:
        """Return the address of the primary, or raise MasterNotFoundError."""
        answers = []
        for sentinel in self.sentinels:
            try:
                masters: Any = await sentinel.sentinel_masters()
            except RedisError as error:
                answers.append(str(error))
                continue
            state = masters.get(service_name)
            if state and self.check_master_state(state, service_name):
                self.sentinels.sort(key=lambda other: other is not sentinel)
                return state["ip"], state["port"]
            answers.append("has no primary that is available" if state else "does not know the service")
        raise MasterNotFoundError("; ".join(answers))


class Connector:
    """Makes pools of connections to the servers of one access."""

    def __init__(self, access: RedisAccess, options: Mapping[str, Any], sentinel: Sentinel | None) -> None:
        self._access = access
        self._options = options
        self._sentinel = sentinel

    @classmethod
    async def open(
        cls, stack: AsyncExitStack, access: RedisAccess, options: Mapping[str, Any], seconds: float
    ) -> Self:
        """Make a connector, whether or not a server is available.

        Args:
            stack: closes at its end what asks the Sentinels.
            access: where the servers are.
            options: for each connection, in the terms of redis-py, besides those of the access.
            seconds: the time of one operation, of which a Sentinel may take a part.
        """
        sentinel = None
        if access.url.topology == "sentinel":
            sentinel = await stack.enter_async_context(_make_sentinel(access, seconds / _SENTINELS_WITHIN))
        return cls(access, {**access.options(), **options}, sentinel)

    def blocking_pool(
        self, connections_max: int, seconds: float, node: _Address | None = None
    ) -> ConnectionPool:
        """Make a pool on which callers wait for a connection, for so many seconds at most."""
        kind: Any = _BlockingSentinelPool if self._sentinel else BlockingConnectionPool
        pool: ConnectionPool = kind(max_connections=connections_max, timeout=seconds, **self._target(node))
        return pool

    def pool(self, connections_max: int, node: _Address | None = None) -> ConnectionPool:
        """Make a pool that fails at once while all its connections are in use."""
        kind: Any = SentinelConnectionPool if self._sentinel else ConnectionPool
        pool: ConnectionPool = kind(max_connections=connections_max, **self._target(node))
        return pool

    def _target(self, node: _Address | None) -> dict[str, Any]:
        """Name what the connections of a pool lead to: a node of a cluster, or the one server."""
        url = self._access.url
        if self._sentinel:
            managed = _SentinelTlsConnection if url.is_tls else SentinelManagedConnection
            place: dict[str, Any] = {"service_name": url.service, "sentinel_manager": self._sentinel}
            return {**self._options, **place, "connection_class": managed}
        if url.socket:
            return {**self._options, "connection_class": UnixDomainSocketConnection, "path": url.socket}
        host, port = node or url.hosts[0]
        kind = TlsConnection if url.is_tls else Connection
        return {**self._options, "connection_class": kind, "host": host, "port": port}


def _make_sentinel(access: RedisAccess, seconds: float) -> Sentinel:
    options = {
        **access.sentinel_options(),
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),  # The next one is asked instead.
    }
    sentinels = _Sentinels(access.url.hosts, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
    if access.url.is_tls:
        for sentinel in sentinels.sentinels:
            sentinel.connection_pool.connection_class = TlsConnection
    return sentinels
