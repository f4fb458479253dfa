"""The servers of Redis that are asked: one, the primary that Sentinel names, or the primaries of a cluster.

Invariants:
- Only primaries are asked.
- While a server is away, what is asked of it fails at once, except for one probe a second. Of a cluster, the
  other servers are asked all the same.
- What a cluster said of its slots holds until a server says otherwise or is away. Then any server is asked
  anew, by one for all who wait.

The clients of redis-py for single servers and for Sentinel do the work. Its client for clusters does not: as
of 8.1 it sends ASKING and the command it stands for on different connections, so that a slot that moves is
not found; it fails on a node without slots; and what goes wrong with one command closes the connections of
all others.
"""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog
from redis.asyncio import (
    BlockingConnectionPool,
    Connection,
    ConnectionPool,
    Redis,
    Sentinel,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, SentinelConnectionPool, SentinelManagedConnection
from redis.backoff import NoBackoff
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from score_service.errors import ProjectionUnavailableError
from score_service.projection.breaker import Breaker
from score_service.redis_access import RedisAccess

REDIRECTS: Final = (AskError, TryAgainError)
"""What a server says instead of an answer while slots move; MOVED is an AskError too."""
_HOPS_MAX: Final = 8
"""Redirects that one question follows."""
_SPLIT_SECONDS: Final = 0.02
"""Between two tries while some keys of a board are on one server and some on another."""
_CLOSE_SECONDS: Final = 1.0
_SENTINELS_WITHIN: Final = 3
"""The part of an operation's time that one Sentinel may take, so that there is time to ask another one."""

_T = TypeVar("_T")
_Address = tuple[str, int]
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ServersSettings:
    """How to reach the servers."""

    access: RedisAccess
    timeout: float
    """Seconds for one operation, connecting and a retry included."""
    connections_max: int
    """For operations, to one server."""
    listeners_max: int
    """For listeners, to one server."""


class Server:
    """A primary, or whichever server is the primary at present."""

    def __init__(self, client: Any, listener: Any, host: str = "") -> None:
        """Take a client for operations, and one that a listener may keep a connection of."""
        self.client = client
        self.listener = listener
        self.host = host
        self.breaker = Breaker(time.monotonic)
        self.on_loss: Callable[[], None] = lambda: None
        """Called each time that it is found to be away."""

    @asynccontextmanager
    async def reached(self, give_up_at: float) -> AsyncIterator[None]:
        """Do not even try while the server is away, and take note whether it is.

        Redirects are let through.

        Raises:
            ProjectionUnavailableError: it is away, or refuses.
        """
        if not self.breaker.admit():
            raise ProjectionUnavailableError
        try:
            async with bounded(give_up_at):
                yield
        except REDIRECTS:
            self.breaker.succeed()
            raise
        except ProjectionUnavailableError as error:
            cause = error.__cause__
            if isinstance(cause, ResponseError) and not isinstance(cause, ClusterDownError):
                self.breaker.succeed()
            else:
                self.breaker.fail()
                self.on_loss()
            if isinstance(cause, ReadOnlyError):
                await self._leave(give_up_at)
            raise
        self.breaker.succeed()

    async def close(self) -> None:
        """Close all connections. TLS would wait long for the goodbye of a server that is away."""
        for client in (self.client, self.listener):
            with suppress(RedisError, OSError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await client.aclose()

    async def _leave(self, give_up_at: float) -> None:
        """Leave a server that was demoted: its name may lead to the new primary by now."""
        with suppress(RedisError, OSError):
            async with asyncio.timeout_at(give_up_at):
                await self.client.connection_pool.disconnect(inuse_connections=False)


@asynccontextmanager
async def bounded(give_up_at: float) -> AsyncIterator[None]:
    """Turn what Redis and the network fail with into one error, also when time is up. Redirects pass."""
    try:
        async with asyncio.timeout_at(give_up_at):
            yield
    except REDIRECTS:
        raise
    except (RedisError, OSError) as error:
        _log.warning("projection unavailable", kind=type(error).__name__, error=str(error))
        raise ProjectionUnavailableError from error


class Servers(ABC):
    """Finds the server that has a key."""

    @abstractmethod
    async def find(self, key: str, give_up_at: float) -> Server:
        """Tell which server has a key, or raise ProjectionUnavailableError."""

    @abstractmethod
    async def list_primaries(self, give_up_at: float) -> Sequence[Server]:
        """List all servers that may have keys, or raise ProjectionUnavailableError."""

    @abstractmethod
    def follow(self, redirect: AskError, server: Server) -> Server:
        """Tell which server another one points to; from then on it has the slot, if that has moved."""

    async def ask(
        self,
        key: str,
        question: Callable[[Any], Awaitable[_T]],
        give_up_at: float,
        *,
        listening: bool = False,
    ) -> _T:
        """Put a question to the server that has a key, wherever that moves meanwhile.

        Raises:
            ProjectionUnavailableError: the server is away, or keeps pointing to others.
        """
        server, asking = await self.find(key, give_up_at), False
        for _ in range(_HOPS_MAX):
            try:
                async with server.reached(give_up_at):
                    client = server.listener if listening else server.client
                    return await (_ask_importing(client, question) if asking else question(client))
            except TryAgainError:
                await asyncio.sleep(_SPLIT_SECONDS)
            except AskError as redirect:
                server, asking = self.follow(redirect, server), not isinstance(redirect, MovedError)
        _log.warning("projection unavailable", kind="redirects", error="its slot is being moved")
        raise ProjectionUnavailableError


class OneServer(Servers):
    """One server, or the primary that Sentinel names."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def find(self, key: str, give_up_at: float) -> Server:  # noqa: ARG002 - It has them all.
        """Give the server."""
        return self._server

    async def list_primaries(self, give_up_at: float) -> Sequence[Server]:  # noqa: ARG002 - No need to ask.
        """Give the server."""
        return [self._server]

    def follow(self, redirect: AskError, server: Server) -> Server:  # noqa: ARG002 - There is none to follow to.
        """Refuse: the URL says that there is one server."""
        _log.warning("projection unavailable", kind=type(redirect).__name__, error="use redis+cluster://")
        raise ProjectionUnavailableError from redirect


class Cluster(Servers):
    """The primaries of a cluster."""

    def __init__(
        self, seeds: Iterable[_Address], connect: Callable[[str, int], Server], timeout: float
    ) -> None:
        """Take some of its nodes, how to connect to one, and how many seconds one may take to be asked."""
        self._connect = connect
        self._timeout = timeout
        self._servers = dict[_Address, Server]()
        self._seeds = frozenset(seeds)
        for seed in self._seeds:
            self._at(*seed)
        self._owners: list[Server | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._gaps = Breaker(time.monotonic)
        self._is_doubted = True
        self._learning: asyncio.Task[None] | None = None

    async def find(self, key: str, give_up_at: float) -> Server:
        """Tell which server has the slot of a key, as far as is known."""
        if self._is_doubted:
            await self._learn(give_up_at)
        server = self._owners[key_slot(key.encode())]
        if server is None:
            if self._gaps.admit():  # It is worth to ask again, but not for each of many.
                self._gaps.fail()
                self._doubt()
            raise ProjectionUnavailableError
        return server

    async def list_primaries(self, give_up_at: float) -> Sequence[Server]:
        """List the servers that have slots."""
        if self._is_doubted:
            await self._learn(give_up_at)
        primaries = [server for server in {*self._owners} if server]
        if not primaries:
            raise ProjectionUnavailableError
        return primaries

    def follow(self, redirect: AskError, server: Server) -> Server:
        """Give the server that is pointed to, and let it have the slot if that has moved."""
        target = self._at(redirect.host or server.host, redirect.port)
        if isinstance(redirect, MovedError):
            self._owners[redirect.slot_id] = target
            self._doubt()
        return target

    async def close(self) -> None:
        """Close all connections."""
        if self._learning:
            self._learning.cancel()
            await asyncio.wait([self._learning])
        for server in self._servers.values():
            await server.close()

    def _doubt(self) -> None:
        """Ask anew before the next operation."""
        self._is_doubted = True

    async def _learn(self, give_up_at: float) -> None:
        """Ask which server has which slots. Where none tells it soon, what was known is all there is."""
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._ask_around(), name="slots", context=Context())
        left = give_up_at - asyncio.get_running_loop().time()
        # The rest is for the operation, on a server that may be there.
        done, _ = await asyncio.wait([self._learning], timeout=max(0, left / 2))
        for task in done:
            task.result()

    async def _ask_around(self) -> None:
        for server in random.sample([*self._servers.values()], len(self._servers)):
            with suppress(ProjectionUnavailableError):
                async with server.reached(asyncio.get_running_loop().time() + self._timeout):
                    ranges = await server.client.execute_command("CLUSTER SLOTS")
                if ranges:
                    await self._take(server, ranges)
                    return

    async def _take(self, told_by: Server, ranges: Sequence[Any]) -> None:
        """Take over what a server said of all slots, and leave the servers that have none any more."""
        owners: list[Server | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, (host, port, *_), *_ in ranges:
            # A node that does not know its own address leaves it out.
            owners[first : last + 1] = [self._at(host or told_by.host, port)] * (last + 1 - first)
        self._owners, self._is_doubted = owners, False
        used = {*owners}
        for address, server in list(self._servers.items()):
            if server not in used and address not in self._seeds:
                del self._servers[address]
                await server.close()

    def _at(self, host: str, port: int) -> Server:
        server = self._servers.get((host, port))
        if server is None:
            server = self._servers[host, port] = self._connect(host, port)
            server.on_loss = self._doubt
        return server


class _Sentinels(Sentinel):
    """Asks one after the other for the primary, and tells in short what each of them said."""

    async def discover_master(self, service_name: str) -> _Address:
        """Give the address of the primary, or raise MasterNotFoundError."""
        said = []
        for sentinel in self.sentinels:
            try:
                masters: Any = await sentinel.sentinel_masters()
            except RedisError as error:
                said.append(str(error))
                continue
            state = masters.get(service_name)
            if state and self.check_master_state(state, service_name):
                self.sentinels.sort(key=lambda other: other is not sentinel)
                return state["ip"], state["port"]
            said.append("has no primary that is there" if state else "does not know the service")
        raise MasterNotFoundError("; ".join(said))


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
async def open_servers(settings: ServersSettings) -> AsyncIterator[Servers]:
    """Make the connection pools, whether or not Redis is there, and close them at the end."""
    url = settings.access.url
    async with AsyncExitStack() as stack:
        if url.topology == "cluster":
            cluster = Cluster(url.hosts, lambda host, port: _connect(settings, host, port), settings.timeout)
            stack.push_async_callback(cluster.close)
            yield cluster
            return
        if url.topology == "sentinel":
            server = _connect_by_sentinel(settings, await stack.enter_async_context(_sentinels(settings)))
        elif url.socket:
            server = _make_server(settings, connection_class=UnixDomainSocketConnection, path=url.socket)
        else:
            server = _connect(settings, *url.hosts[0])
        stack.push_async_callback(server.close)
        yield OneServer(server)


def _connect(settings: ServersSettings, host: str, port: int) -> Server:
    kind = _TlsConnection if settings.access.url.is_tls else Connection
    return _make_server(settings, connection_class=kind, host=host, port=port)


def _make_server(settings: ServersSettings, **place: Any) -> Server:
    options = _options(settings) | place
    operations = BlockingConnectionPool(
        max_connections=settings.connections_max, timeout=settings.timeout, **options
    )
    listeners = ConnectionPool(max_connections=settings.listeners_max, **options)
    return Server(Redis.from_pool(operations), Redis.from_pool(listeners), str(place.get("host", "")))


def _connect_by_sentinel(settings: ServersSettings, sentinel: Sentinel) -> Server:
    url, options = settings.access.url, _options(settings)
    kind = _SentinelTlsConnection if url.is_tls else SentinelManagedConnection
    options |= {"service_name": url.service, "sentinel_manager": sentinel, "connection_class": kind}
    operations = _BlockingSentinelPool(  # type: ignore[no-untyped-call]
        max_connections=settings.connections_max, timeout=settings.timeout, **options
    )
    listeners = SentinelConnectionPool(  # type: ignore[no-untyped-call]
        max_connections=settings.listeners_max, **options
    )
    return Server(Redis.from_pool(operations), Redis.from_pool(listeners))


def _sentinels(settings: ServersSettings) -> Sentinel:
    access, seconds = settings.access, settings.timeout / _SENTINELS_WITHIN
    options = {
        **access.sentinel_options(),
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),  # The next one is asked instead.
    }
    sentinels = _Sentinels(access.url.hosts, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
    if access.url.is_tls:
        for sentinel in sentinels.sentinels:
            sentinel.connection_pool.connection_class = _TlsConnection
    return sentinels


def _options(settings: ServersSettings) -> dict[str, Any]:
    return {
        **settings.access.options(),
        # Every operation has one deadline of its own, see `bounded`. The client's timeouts would each start
        # anew on a retry, and before Python 3.12 the one for sending may lose a cancellation.
        "socket_timeout": None,
        "socket_connect_timeout": None,
        # One more try hides a connection that a restart has closed.
        "retry": Retry(NoBackoff(), 1),
        "decode_responses": True,
    }


async def _ask_importing(client: Any, question: Callable[[Any], Awaitable[_T]]) -> _T:
    """Put a question to a server that a slot moves to. ASKING holds for one command of a connection."""
    async with client.client() as alone:
        await alone.execute_command("ASKING")
        return await question(alone)
