"""The open streams, and why the service ends them: a stop, an expired certificate, an old connection.

gRPC ends the streams of a connection that has reached its age as if the caller had cancelled them. So a
stream is ended here first, with a status that both sides see alike.
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
from score_service.grpc_api.connections import Connections


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

    def __init__(self, connections: Connections, now: Callable[[], float]) -> None:
        """Take the connections that calls have shown, and the time in seconds since 1970."""
        self._connections = connections
        self._now = now
        self._streams: set[_Stream] = set()
        self._stopping = False

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
        until = self._connections.note(address)
        stream = _Stream(peer, asyncio.timeout_at(until), ConnectionAgedError())
        self._streams.add(stream)
        try:
            async with stream.scope:
                yield
        except TimeoutError:
            if not stream.scope.expired():
                raise
            if isinstance(stream.error, ConnectionAgedError):
                self._connections.forget(address)
            raise stream.error from None
        finally:
            self._streams.discard(stream)

    def end_all(self) -> None:
        """End all streams with SHUTTING_DOWN, and each one that is opened from now on."""
        self._stopping = True
        for stream in self._streams:
            stream.end(ShuttingDownError())

    def end_expired(self) -> None:
        """End the streams of peers whose certificates have expired, and forget old connections."""
        now = self._now()
        for stream in self._streams:
            if now > stream.peer.not_after:
                stream.end(CertificateExpiredError())
        self._connections.forget_old()

    async def watch(self, every: float) -> None:
        """Look at the certificates every so many seconds, for ever."""
        while True:
            await asyncio.sleep(every)
            self.end_expired()
