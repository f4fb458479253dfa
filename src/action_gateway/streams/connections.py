"""The open WebSockets and event streams: how many there may be, and how all of them end at a restart."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Container, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import product
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from action_gateway.errors import UnauthenticatedError
from action_gateway.streams.connection import Connection, until_ended
from action_gateway.streams.endings import EndedError, Ending

Kind = Literal["websocket", "sse"]


class ConnectionMetrics:
    """What is counted of connections."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.open = Gauge("gateway_sockets", "Open WebSockets and event streams", ["kind"], registry=registry)
        self._sent = Counter(
            "gateway_socket_messages_sent", "Messages sent", ["kind", "event"], registry=registry
        )
        self._sent_by = dict[tuple[Kind, str], Counter]()
        self.evicted = Counter(
            "gateway_socket_evictions",
            "WebSockets and event streams that the gateway ended or rejected, by the reason.",
            ["kind", "reason"],
            registry=registry,
        )
        for kind in get_args(Kind):
            self.open.labels(kind)
        for kind, ending in product(get_args(Kind), Ending):
            if ending is not Ending.GONE:
                self.evicted.labels(kind, ending.label)

    def count_sent(self, kind: Kind, event: str) -> None:
        """Count a message. There are many of few sorts, so that what counts each is kept at hand."""
        counter = self._sent_by.get((kind, event))
        if counter is None:
            counter = self._sent_by[kind, event] = self._sent.labels(kind, event)
        counter.inc()


class Connections:
    """All open connections of the process, within bounds: overall and for each user."""

    def __init__(
        self,
        metrics: ConnectionMetrics,
        *,
        limit: int,
        limit_per_user: int,
        departed: Container[str] = (),
        randomness: random.Random | None = None,
    ) -> None:
        """Take how many there may be, of all and of a user, and which users have left."""
        self.metrics = metrics
        self._limit = limit
        self._limit_per_user = limit_per_user
        self._departed = departed
        self._randomness = randomness or random.Random()  # noqa: S311 - it spreads closes, no secret
        self._open: set[Connection] = set()
        self._by_user: defaultdict[str, set[Connection]] = defaultdict(set)
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
                async with until_ended(connection):
                    yield connection
        except (EndedError, UnauthenticatedError) as error:
            ending = error.ending if isinstance(error, EndedError) else Ending.UNAUTHENTICATED
            if ending is not Ending.GONE:
                self.metrics.evicted.labels(kind, ending.label).inc()
            raise EndedError(ending) from None

    @contextmanager
    def admit(self, connection: Connection, user_id: str) -> Iterator[None]:
        """Count a connection as this user's inside the block.

        Raises EndedError if the user has too many, or has left.
        """
        if user_id in self._departed:
            raise EndedError(Ending.UNAUTHENTICATED)
        if len(self._by_user.get(user_id, ())) >= self._limit_per_user:
            raise EndedError(Ending.TOO_MANY_OF_USER)
        self._by_user[user_id].add(connection)
        try:
            yield
        finally:
            self._by_user[user_id].discard(connection)
            if not self._by_user[user_id]:
                del self._by_user[user_id]

    def end_all_of(self, user_ids: Collection[str]) -> None:
        """End the connections of users who have left."""
        for user_id in user_ids:
            for connection in self._by_user.get(user_id, ()):
                connection.end(Ending.UNAUTHENTICATED)

    def stop_accepting(self) -> None:
        """Reject new connections, whose clients then connect elsewhere. Open ones may stay."""
        self._closing = True

    async def close_all(self, within: float) -> None:
        """Reject new connections, and end all open ones, spread over the first half of some seconds.

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
