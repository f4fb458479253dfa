"""The servers of Redis that are asked: one, the primary that Sentinel names, or the primaries of a cluster.

Invariants:
- Only primaries are asked.
- While a server is unavailable, what is asked of it fails at once, except for one probe a second. Of a
  cluster, the other servers are asked all the same.

How a cluster is asked stands in `redis_cluster`.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog
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
from service_runtime.redis.access import RedisAccess
from service_runtime.redis.rejections import explain_rejection
from service_runtime.telemetry.logs import error_fields
from service_runtime.telemetry.throttle import Throttle

REDIRECTS: Final = (AskError, TryAgainError)
"""What a server says instead of an answer while slots move; MOVED is an AskError too."""
_HOPS_MAX: Final = 8
"""Redirects that one question follows."""
_SPLIT_SECONDS: Final = 0.02
"""Between two tries while some keys of a board are on one server and some on another."""
_CLOSE_SECONDS: Final = 1.0
_REJECTIONS_LOGGED: Final = 1
"""Of each server, a second."""

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ServersSettings:
    """How to reach the servers."""

    access: RedisAccess
    timeout: float
    """Seconds for one operation, connecting and a retry included."""
    connections_max: int
    """For operations, to one server."""
    subscriptions_max: int
    """For subscriptions, to one server."""


class Server:
    """A primary, or whichever server is the primary at present."""

    def __init__(self, client: Any, subscriber: Any, host: str = "") -> None:
        """Take a client for operations, and one that a subscription may keep a connection of."""
        self.client = client
        self.subscriber = subscriber
        self.host = host
        self.breaker = Breaker(time.monotonic)
        self._rejections = Throttle(_REJECTIONS_LOGGED, time.monotonic)
        self.on_loss: Callable[[], None] = lambda: None
        """Called each time that it is found to be unavailable."""

    @asynccontextmanager
    async def reached(self, give_up_at: float) -> AsyncIterator[None]:
        """Do not even try while the server is unavailable, and take note whether it is.

        Redirects are let through.

        Raises:
            ProjectionUnavailableError: it is unavailable, or rejects the operation.
        """
        if not self.breaker.admit():
            raise ProjectionUnavailableError
        try:
            async with bounded(give_up_at, self._rejections):
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
        """Close all connections. TLS would wait long for the goodbye of a server that is unavailable."""
        for client in (self.client, self.subscriber):
            with suppress(RedisError, OSError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await client.aclose()

    async def _leave(self, give_up_at: float) -> None:
        """Leave a server that was demoted: its name may lead to the new primary by now."""
        with suppress(RedisError, OSError):
            async with asyncio.timeout_at(give_up_at):
                await self.client.connection_pool.disconnect(inuse_connections=False)


@asynccontextmanager
async def bounded(give_up_at: float, rejections: Throttle | None = None) -> AsyncIterator[None]:
    """Turn what Redis and the network fail with into one error, also when time is up. Redirects pass.

    A server that rejects writes does so at once, for each of them: a throttle bounds how often it is logged.
    """
    try:
        async with asyncio.timeout_at(give_up_at):
            yield
    except REDIRECTS:
        raise
    except (RedisError, OSError) as error:
        throttle = rejections if explain_rejection(error) else None
        if throttle is None or throttle.let_through() is not None:
            _log.warning("projection_unavailable", **error_fields(error))
        raise ProjectionUnavailableError from error


class Servers(ABC):
    """Finds the server that has a key."""

    @abstractmethod
    async def find(self, key: str, give_up_at: float) -> Server:
        """Return which server has a key, or raise ProjectionUnavailableError."""

    @abstractmethod
    async def list_primaries(self, give_up_at: float) -> Sequence[Server]:
        """List all servers that may have keys, or raise ProjectionUnavailableError."""

    @abstractmethod
    def name_key(self, server: Server, name: str) -> str:
        """Return a key that such a server has, and whose name begins so."""

    @abstractmethod
    def follow(self, redirect: AskError, server: Server) -> Server:
        """Return which server another one points to; from then on it has the slot, if that has moved."""

    async def ask(
        self,
        key: str,
        question: Callable[[Any], Awaitable[_T]],
        give_up_at: float,
        *,
        subscribing: bool = False,
    ) -> _T:
        """Put a question to the server that has a key, wherever that moves meanwhile.

        Raises:
            ProjectionUnavailableError: the server is unavailable, or keeps pointing to others.
        """
        server, asking = await self.find(key, give_up_at), False
        for _ in range(_HOPS_MAX):
            try:
                async with server.reached(give_up_at):
                    client = server.subscriber if subscribing else server.client
                    return await (_ask_importing(client, question) if asking else question(client))
            except TryAgainError:
                await asyncio.sleep(_SPLIT_SECONDS)
            except AskError as redirect:
                server, asking = self.follow(redirect, server), not isinstance(redirect, MovedError)
        _log.warning("projection_unavailable", kind="redirects", error="its slot is being moved")
        raise ProjectionUnavailableError


class OneServer(Servers):
    """One server, or the primary that Sentinel names."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def find(self, key: str, give_up_at: float) -> Server:  # noqa: ARG002 - It has them all.
        """Return the server."""
        return self._server

    async def list_primaries(self, give_up_at: float) -> Sequence[Server]:  # noqa: ARG002 - No need to ask.
        """Return the server."""
        return [self._server]

    def name_key(self, server: Server, name: str) -> str:  # noqa: ARG002 - It has them all.
        """Return the name."""
        return name

    def follow(self, redirect: AskError, server: Server) -> Server:  # noqa: ARG002 - There is none to follow to.
        """Reject: the URL says that there is one server."""
        _log.warning("projection_unavailable", kind=type(redirect).__name__, error="use redis+cluster://")
        raise ProjectionUnavailableError from redirect


async def _ask_importing(client: Any, question: Callable[[Any], Awaitable[_T]]) -> _T:
    """Put a question to a server that a slot moves to. ASKING holds for one command of a connection."""
    async with client.client() as alone:
        await alone.execute_command("ASKING")
        return await question(alone)
