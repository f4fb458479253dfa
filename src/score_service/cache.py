"""Redis as the score service reaches it: one script at a time, every wait bounded.

Invariants:
- Every operation has one deadline, connecting and a retry included.
- Every script may run twice, also late: one whose connection was lost is sent once more.
- While Redis is away, operations fail at once, except one probe a second.

It knows the names of scripts and nothing of what they do.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self

import structlog
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from score_service import tracing
from score_service.breaker import Breaker
from score_service.errors import ProjectionUnavailableError
from score_service.lua import load_script

_SCRIPTS: Final = (
    "apply_changes",
    "compare_standings",
    "discard_generation",
    "drop_board",
    "get_header",
    "get_standings",
    "is_being_made",
    "list_standings",
    "list_standings_around",
    "load_standings",
    "switch_generation",
)

_QUIET_SECONDS: Final = 1.0
"""After which a listener that hears nothing asks whether Redis is there."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """What a script is run with."""

    keys: Sequence[str]
    arguments: Sequence[str]


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """How to reach Redis."""

    url: str
    password: str | None
    timeout: float
    """Seconds for one operation, connecting and a retry included."""
    connections_max: int
    listeners_max: int
    """Channels that are listened to at once, each on a connection of its own."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Cache:
    """Runs the scripts of `lua` by name.

    Every method raises `ProjectionUnavailableError` where Redis is away or does not answer in time. Whether a
    script that writes has done so is unknown then.
    """

    def __init__(self, client: "Redis", listener: "Redis", settings: CacheSettings) -> None:
        """Take one client for operations, and one that a listener may keep a connection of."""
        self._client = client
        self._listener = listener
        self._listeners_left = settings.listeners_max
        self._timeout = settings.timeout
        self._breaker = Breaker(time.monotonic)
        self._scripts: dict[str, AsyncScript] = {
            name: client.register_script(load_script(name)) for name in _SCRIPTS
        }

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: CacheSettings) -> AsyncIterator[Self]:
        """Make the connection pools, whether or not Redis is there, and close them at the end."""
        how = {
            "password": settings.password,
            # Every operation has one deadline of its own, see `_bounded`. The client's timeouts would
            # each start anew on a retry, and before Python 3.12 the one for sending may lose a cancellation.
            "socket_timeout": None,
            "socket_connect_timeout": None,
            # One more try hides a connection that a restart has closed.
            "retry": Retry(NoBackoff(), 1),
            "decode_responses": True,
        }
        operations = BlockingConnectionPool.from_url(
            settings.url, max_connections=settings.connections_max, timeout=settings.timeout, **how
        )
        listeners = ConnectionPool.from_url(settings.url, max_connections=settings.listeners_max, **how)
        async with Redis.from_pool(operations) as client, Redis.from_pool(listeners) as listener:
            yield cls(client, listener, settings)

    async def run(self, script: str, call: Call) -> Any:
        """Run a script once and give its reply."""
        with tracing.script(script):
            async with self._tried():
                return await self._scripts[script](call.keys, call.arguments)

    async def run_each(self, script: str, calls: Sequence[Call]) -> list[Any]:
        """Run a script once for each call, not as one transaction, and give the replies in order."""
        async with self._tried(), self._client.pipeline(transaction=False) as pipeline:
            for call in calls:
                await self._scripts[script](call.keys, call.arguments, client=pipeline)
            return await pipeline.execute()

    async def read_policy(self) -> str:
        """Tell what Redis does when its memory is full, as `maxmemory-policy` has it."""
        async with self._tried():
            memory = await self._client.info("memory")
        return str(memory["maxmemory_policy"])

    @asynccontextmanager
    async def listen(self, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        """Hear what is published on a channel from now on.

        Raises:
            ProjectionUnavailableError: there are too many listeners, or Redis is away; the latter also out
                of the iterator.
        """
        if not self._listeners_left:
            raise ProjectionUnavailableError
        self._listeners_left -= 1
        try:
            async with self._listener.pubsub(ignore_subscribe_messages=True) as pubsub:
                async with self._tried():
                    await pubsub.subscribe(channel)
                yield self._messages(pubsub)
        finally:
            self._listeners_left += 1

    async def _messages(self, pubsub: Any) -> AsyncIterator[str]:
        """Give what comes. Quiet looks like a network that swallows everything, so Redis is asked then."""
        while True:
            # A listener alone may lose its connection because it reads too slowly.
            async with self._bounded(_QUIET_SECONDS + self._timeout):
                message = await pubsub.get_message(timeout=_QUIET_SECONDS)
                if message is None:
                    await pubsub.ping()
                    message = await pubsub.get_message(timeout=None)
            if message is not None and message["type"] == "message":
                yield message["data"]

    @asynccontextmanager
    async def _tried(self) -> AsyncIterator[None]:
        """Do not even try while Redis is away, and take note whether it is."""
        if not self._breaker.admit():
            raise ProjectionUnavailableError
        try:
            async with self._bounded(self._timeout):
                yield
        except ProjectionUnavailableError as error:
            if isinstance(error.__cause__, ResponseError):
                self._breaker.succeed()
            else:
                self._breaker.fail()
            if isinstance(error.__cause__, ReadOnlyError):
                await self._reconnect()
            raise
        self._breaker.succeed()

    @asynccontextmanager
    async def _bounded(self, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except (RedisError, OSError) as error:
            _log.warning("projection unavailable", kind=type(error).__name__, error=str(error))
            raise ProjectionUnavailableError from error

    async def _reconnect(self) -> None:
        """Leave a server that was demoted: its name may lead to the new primary by now."""
        with suppress(RedisError, OSError):
            async with asyncio.timeout(self._timeout):
                await self._client.connection_pool.disconnect(inuse_connections=False)
