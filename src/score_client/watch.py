"""One watch of a board, across all the streams it takes.

A watch resumes from the position of the last event it can vouch for. After a reconnect that resumes,
the snapshot tells the top of now, while the score changes up to now come after it: until they have come,
it resumes from the old position.
"""

import asyncio
from collections.abc import AsyncGenerator

import grpc

from score_api.v1.leaderboard_service_pb2 import WatchLeaderboardRequest, WatchLeaderboardResponse
from score_client.channel import RenewedChannel
from score_client.connection import Connection
from score_client.errors import QuotaExceededError, ServiceFaultError, UnavailableError
from score_client.marshal import decode_event
from score_client.retry import outcome, retried
from score_client.tracing import propagated
from score_client.types import Snapshot, WatchEvent

Stream = grpc.aio.UnaryStreamCall[WatchLeaderboardRequest, WatchLeaderboardResponse]


_PASSING = (UnavailableError, QuotaExceededError, ServiceFaultError)
"""The errors after which a watch connects again."""


class Watcher:
    """Reads events, each from a new stream if the last one broke.

    Every failure ends the stream. The next read opens another one, which makes a read safe to retry.
    """

    def __init__(
        self,
        channel: RenewedChannel,
        request: WatchLeaderboardRequest,
        *,
        first_timeout: float,
        stall_timeout: float,
    ) -> None:
        self._channel = channel
        self._request = request
        self._first_timeout = first_timeout
        self._stall_timeout = stall_timeout
        self._connection: Connection | None = None
        self._stream: Stream | None = None
        self._resumes = False

    async def events(self) -> AsyncGenerator[WatchEvent, None]:
        """Yield the events, for as long as a broken watch may be resumed."""
        try:
            while True:
                yield await retried(self._next, on=_PASSING, within=None)
        finally:
            self._close()

    async def _next(self) -> WatchEvent:
        try:
            event = decode_event(await self._read())
        except BaseException:
            self._close()
            raise
        self._move_to(event)
        return event

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream:
            stream.cancel()

    async def _read(self) -> WatchLeaderboardResponse:
        stream, patience = self._current_stream()
        try:
            async with asyncio.timeout(patience):
                message = await outcome(stream.read())
        except TimeoutError:
            raise UnavailableError("STALLED", f"The watch heard nothing for {patience} s.") from None
        if isinstance(message, WatchLeaderboardResponse):
            return message
        raise UnavailableError("STREAM_ENDED", "The service ended the watch.")

    def _current_stream(self) -> tuple[Stream, float]:
        connection = self._channel.current
        if self._stream and connection is self._connection:
            return self._stream, self._stall_timeout
        self._close()
        self._connection = connection
        self._stream = connection.stubs.leaderboards.WatchLeaderboard(self._request, metadata=propagated())
        self._resumes = self._request.HasField("after_position")
        return self._stream, self._first_timeout

    def _move_to(self, event: WatchEvent) -> None:
        scores_follow = self._resumes and isinstance(event, Snapshot) and not event.reset
        if not scores_follow:
            self._request.after_position = event.position
        self._resumes = True  # A later snapshot is of another period, and what changed in it follows.
