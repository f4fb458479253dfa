"""The open streams, and why the service ends them: a stop, an expired certificate, an old connection.

gRPC ends the streams of a connection that has reached its age as if the caller had cancelled them. So a
stream is ended here first, with a status that both sides see alike. gRPC tells a server neither when a
connection began nor when it ends. The first stream of a peer address counts as its beginning, which is right
for clients that watch the health of a server, as `score_client` does.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from score_service.access.identity import Peer
from score_service.errors import (
    CertificateExpiredError,
    ConnectionAgedError,
    ScoreServiceError,
    ShuttingDownError,
)


@dataclass(eq=False, slots=True)
class _Stream:
    peer: Peer
    scope: asyncio.Timeout
    error: ScoreServiceError
    """Why it ends when its time is over."""

    def end(self, error: ScoreServiceError) -> None:
        if self.scope.expired():  # Its handler has been told, and may take its time to end.
            return
        self.error = error
        self.scope.reschedule(asyncio.get_running_loop().time())


class OpenStreams:
    """The open streams of a server."""

    def __init__(self, longest: float, now: Callable[[], float]) -> None:
        """Take the seconds after which a connection should be gone, and the time in seconds since 1970."""
        self._longest = longest
        self._now = now
        self._streams: set[_Stream] = set()
        self._connections: dict[str, float] = {}
        """When each peer address opened its first stream, by the clock of the event loop."""
        self._stopping = False

    @property
    def connections(self) -> int:
        """How many connections are known."""
        return len(self._connections)

    @asynccontextmanager
    async def open(self, peer: Peer, address: str) -> AsyncIterator[None]:
        """Let a stream run until the service ends it.

        Args:
            peer: Who opened it.
            address: The address and port that it comes from, which stand for the connection.

        Raises:
            ShuttingDownError: this process is stopping.
            CertificateExpiredError: the peer's certificate has expired.
            ConnectionAgedError: the connection is to be closed.
        """
        if self._stopping:
            raise ShuttingDownError
        began = self._connections.setdefault(address, asyncio.get_running_loop().time())
        stream = _Stream(peer, asyncio.timeout_at(began + self._longest), ConnectionAgedError())
        self._streams.add(stream)
        try:
            async with stream.scope:
                yield
        except TimeoutError:
            if stream.scope.expired():
                raise stream.error from None
            raise
        finally:
            self._streams.discard(stream)

    def end_all(self) -> None:
        """End all streams with SHUTTING_DOWN, and each one that is opened from now on."""
        self._stopping = True
        for stream in self._streams:
            stream.end(ShuttingDownError())

    def end_expired(self) -> None:
        """End the streams of peers whose certificates have expired, and forget connections that are gone."""
        now = self._now()
        for stream in self._streams:
            if now > stream.peer.not_after:
                stream.end(CertificateExpiredError())
        gone = asyncio.get_running_loop().time() - self._longest
        self._connections = {address: began for address, began in self._connections.items() if began > gone}

    async def watch(self, every: float) -> None:
        """Look at the certificates every so many seconds, for ever."""
        while True:
            await asyncio.sleep(every)
            self.end_expired()
