"""One watch of a board, across all the streams it takes.

A watch resumes from the position of the last event it can vouch for. After a reconnect that resumes,
the snapshot tells the top of now, while the score changes up to now come after it: until they have come,
it resumes from the old position.
"""

from collections.abc import AsyncGenerator

import grpc

from score_api.v1.leaderboard_service_pb2 import WatchLeaderboardRequest, WatchLeaderboardResponse
from score_client.calls.marshal import decode_event
from score_client.transport.channel import RenewedChannel
from score_client.transport.connection import Stubs
from score_client.transport.reopened import PASSING, ReopenedStream
from score_client.transport.retry import retried
from score_client.transport.tracing import propagated
from score_client.types import Snapshot, WatchEvent

Stream = grpc.aio.UnaryStreamCall[WatchLeaderboardRequest, WatchLeaderboardResponse]


class Watcher:
    """Reads events, each from a new stream if the last one broke."""

    def __init__(
        self,
        channel: RenewedChannel,
        request: WatchLeaderboardRequest,
        *,
        first_timeout: float,
        stall_timeout: float,
    ) -> None:
        self._request = request
        self._stream = ReopenedStream(
            channel, self._open, first_timeout=first_timeout, stall_timeout=stall_timeout
        )
        self._resumes = False

    async def events(self) -> AsyncGenerator[WatchEvent, None]:
        """Yield the events, for as long as a broken watch may be resumed."""
        try:
            while True:
                yield await retried(self._next, on=PASSING, within=None)
        finally:
            self._stream.close()

    def _open(self, stubs: Stubs) -> Stream:
        self._resumes = self._request.HasField("after_position")
        return stubs.leaderboards.WatchLeaderboard(self._request, metadata=propagated())

    async def _next(self) -> WatchEvent:
        message = await self._stream.read()
        try:
            event = decode_event(message)
        except BaseException:
            self._stream.close()
            raise
        self._move_to(event)
        return event

    def _move_to(self, event: WatchEvent) -> None:
        scores_follow = self._resumes and isinstance(event, Snapshot) and not event.reset
        if not scores_follow:
            self._request.after_position = event.position
        self._resumes = True  # A later snapshot is of another period, and what changed in it follows.
