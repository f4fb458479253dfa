"""The open WebSockets and event streams: how many there may be, and when each has to end.

Every connection ends at a time that can be moved, for the reason that goes with it. Whoever wants it to end
sooner moves the time to now, so there is one way in which a connection is ended from outside.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import Enum
from itertools import product
from typing import Literal, ParamSpec, get_args

import structlog
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client import Counter as CounterMetric

from action_gateway.errors import UnauthenticatedError

Kind = Literal["websocket", "sse"]

_P = ParamSpec("_P")
_log = structlog.get_logger(__name__)


class Ending(Enum):
    """Why a connection ends: the WebSocket close code, and the words that go with it."""

    GONE = (1000, "the client has left")
    UNAUTHENTICATED = (4401, "a valid access token is needed")
    FOREIGN_ORIGIN = (4403, "this origin is not allowed")
    AUTH_TIMEOUT = (4408, "no access token came in time")
    PROTOCOL = (1008, "the message is not as described")
    TOO_MANY_MESSAGES = (1008, "too many messages")
    FAULT = (1011, "the server failed")
    RESTARTING = (1012, "the server restarts; connect again")
    OVERLOADED = (1013, "too many connections; try again later")
    TOO_MANY_OF_USER = (1013, "too many connections of this user")
    TOO_SLOW = (1013, "the client reads too slowly")
    UNAVAILABLE = (1013, "the leaderboard is not available; try again later")

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason

    @property
    def label(self) -> str:
        """Its name in the metrics."""
        return self.name.lower()


class EndedError(Exception):
    """The connection has to end."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


class ConnectionMetrics:
    """What is counted of connections."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.open = Gauge("gateway_sockets", "Open WebSockets and event streams", ["kind"], registry=registry)
        self.sent = CounterMetric(
            "gateway_socket_messages_sent", "Messages sent", ["kind", "event"], registry=registry
        )
        self.evicted = CounterMetric(
            "gateway_socket_evictions",
            "WebSockets and event streams that the gateway ended or did not let in, by the reason.",
            ["kind", "reason"],
            registry=registry,
        )
        for kind in get_args(Kind):
            self.open.labels(kind)
        for kind, ending in product(get_args(Kind), Ending):
            if ending is not Ending.GONE:
                self.evicted.labels(kind, ending.label)


class Connection:
    """One open WebSocket or event stream."""

    def __init__(self) -> None:
        self.ending = Ending.FAULT
        self.limit = asyncio.timeout(None)
        self._restarting = False

    def end_after(self, seconds: float, ending: Ending) -> None:
        """Move the end to some seconds from now. Once a restart is set, it can only come sooner."""
        when = asyncio.get_running_loop().time() + seconds
        if self.limit.expired() or (self._restarting and when > (self.limit.when() or when)):
            return
        self.ending = ending
        self.limit.reschedule(when)

    def end(self, ending: Ending) -> None:
        """End the connection now, at whatever it waits for."""
        self.end_after(0.0, ending)

    def restart_after(self, seconds: float) -> None:
        """End the connection for a restart some seconds from now."""
        self.end_after(seconds, Ending.RESTARTING)
        self._restarting = True


class Connections:
    """All open connections of the process, within bounds: overall and for each user."""

    def __init__(
        self,
        metrics: ConnectionMetrics,
        *,
        limit: int,
        limit_per_user: int,
        randomness: random.Random | None = None,
    ) -> None:
        self.metrics = metrics
        self._limit = limit
        self._limit_per_user = limit_per_user
        self._randomness = randomness or random.Random()  # noqa: S311 - it spreads closes, no secret
        self._open: set[Connection] = set()
        self._by_user: Counter[str] = Counter()
        self._closing = False
        self._emptied = asyncio.Event()

    @asynccontextmanager
    async def hold(self, kind: Kind) -> AsyncIterator[Connection]:
        """Keep a connection open inside the block, until it is time for it to end.

        Raises EndedError at the start if there is no room, and inside the block when it has to end.
        """
        try:
            self._check_room()
            with self._registered(kind) as connection:
                async with _until_ended(connection):
                    yield connection
        except (EndedError, UnauthenticatedError) as error:
            ending = error.ending if isinstance(error, EndedError) else Ending.UNAUTHENTICATED
            if ending is not Ending.GONE:
                self.metrics.evicted.labels(kind, ending.label).inc()
            raise EndedError(ending) from None

    @contextmanager
    def admit(self, user_id: str) -> Iterator[None]:
        """Count a connection as this user's inside the block. Raises EndedError if the user has too many."""
        if self._by_user[user_id] >= self._limit_per_user:
            raise EndedError(Ending.TOO_MANY_OF_USER)
        self._by_user[user_id] += 1
        try:
            yield
        finally:
            self._by_user[user_id] -= 1
            if not self._by_user[user_id]:
                del self._by_user[user_id]

    def stop_accepting(self) -> None:
        """Have whoever comes from now on connect elsewhere. Those who are in may stay."""
        self._closing = True

    async def close_all(self, within: float) -> None:
        """Let nobody in any more, and end all connections, spread over the first half of some seconds.

        Returns when all have ended or the time is over.
        """
        self.stop_accepting()
        for connection in self._open:
            connection.restart_after(self._randomness.uniform(0.0, within / 2))
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._open:
                    self._emptied.clear()
                    await self._emptied.wait()

    def _check_room(self) -> None:
        if self._closing:
            raise EndedError(Ending.RESTARTING)
        if len(self._open) >= self._limit:
            raise EndedError(Ending.OVERLOADED)

    @contextmanager
    def _registered(self, kind: Kind) -> Iterator[Connection]:
        connection = Connection()
        self._open.add(connection)
        with self.metrics.open.labels(kind).track_inprogress():
            try:
                yield connection
            finally:
                self._open.discard(connection)
                if not self._open:
                    self._emptied.set()


@asynccontextmanager
async def _until_ended(connection: Connection) -> AsyncIterator[None]:
    try:
        async with connection.limit:
            yield
    except TimeoutError:
        if connection.limit.expired():
            raise EndedError(connection.ending) from None
        raise


@asynccontextmanager
async def beside(
    connection: Connection, work: Callable[_P, Awaitable[None]], *args: _P.args, **kwargs: _P.kwargs
) -> AsyncIterator[None]:
    """Run some work beside the block. Its failure ends the connection; the end of the block ends the work."""

    async def guard() -> None:
        try:
            await work(*args, **kwargs)
        except EndedError as ended:
            connection.end(ended.ending)
        except Exception:  # noqa: BLE001 - logged whole; the client is told that the server failed
            _log.exception("connection_failed")
            connection.end(Ending.FAULT)

    task = asyncio.create_task(guard())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
