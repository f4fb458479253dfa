"""`GET /leaderboard/events?period=`: the leaderboard as it changes, as Server-Sent Events.

The same messages as on the WebSocket. The `id` of an event is the board's position. It stands on the last
event of a revision only, so a client that resumes from it has missed nothing of that revision. What
fails before the stream begins is an ordinary problem document.
"""

import asyncio
import random
import re
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.sse import format_sse_event
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from action_gateway.accounts.tokens import Access
from action_gateway.domain.clock import Clock
from action_gateway.domain.periods import ALL_TIME, PeriodChoice
from action_gateway.edge.authentication import CurrentUser
from action_gateway.edge.problems import describe
from action_gateway.errors import (
    GatewayError,
    InvalidRequestError,
    PeriodUnknownError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
)
from action_gateway.leaderboard.feeds import Feeds
from action_gateway.leaderboard.subscription import News, Subscription
from action_gateway.streams.connection import Connection, beside
from action_gateway.streams.connections import Connections
from action_gateway.streams.endings import EndedError, Ending
from service_runtime.http.time_limit import TimeLimited

PATH = "/leaderboard/events"

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="the last `id` received: if the caller has scored since, a `score:update` tells it",
    ),
]

_POSITION = re.compile(r"[!-~]{1,128}")
_RETRY_MS = (500, 3000)
_RETRY_SECONDS = 10.0
_RESPONSES = {
    200: {"description": "Events without end. The data of each is JSON: `event`, `revision` and `data`."},
    **describe(
        [UnauthenticatedError, InvalidRequestError, PeriodUnknownError, RateLimitedError, UnavailableError]
    ),
}
_ALIVE = format_sse_event(comment="keep-alive")


class EventStream(Response):
    """One response that goes on until the client leaves or the connection has to end."""

    media_type = "text/event-stream"

    def __init__(
        self, events: "LeaderboardEvents", access: Access, period: str, after_position: str | None
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self.access = access
        self.period = period
        self.after_position = after_position
        self.started = False
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as in ASGI
        """Serve the stream. Raises GatewayError or ScoreClientError only while it has not begun."""
        await self._events.serve(self, receive, send)

    async def write(self, send: Send, body: bytes, *, more: bool = True) -> None:
        """Send some events, the headers of the response before the first ones."""
        if not self.started:
            self.started = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": body, "more_body": more})


class LeaderboardEvents:
    """Serves the event streams of the leaderboard."""

    def __init__(
        self,
        feeds: Feeds,
        connections: Connections,
        *,
        clock: Clock,
        alive_seconds: float = 15.0,
        write_seconds: float = 10.0,
        randomness: random.Random | None = None,
    ) -> None:
        """Take after how long a silence a comment is sent, and how long a client may take for one write."""
        self._feeds = feeds
        self._connections = connections
        self._clock = clock
        self._alive_seconds = alive_seconds
        self._write_seconds = write_seconds
        self._randomness = randomness or random.Random()  # noqa: S311 - it spreads retries, no secret

    def router(self) -> APIRouter:
        """Return the route, relative to the prefix of the API."""
        router = APIRouter(tags=["leaderboard"])

        @router.get(PATH, status_code=200, response_class=EventStream, responses=_RESPONSES)
        async def follow_leaderboard(
            access: CurrentUser,
            period: Annotated[PeriodChoice, Query()] = ALL_TIME,
            last_event_id: LastEventId = None,
        ) -> EventStream:
            """Send `leaderboard:initial`, then `leaderboard:update` and `score:update` as they happen.

            When the period that is followed ends, `leaderboard:period` names the next one, and
            `leaderboard:initial` comes again.
            """
            resumes = last_event_id is not None and _POSITION.fullmatch(last_event_id)
            return EventStream(self, access, period, last_event_id if resumes else None)

        return router

    async def serve(self, stream: EventStream, receive: Receive, send: Send) -> None:
        """Serve one stream until it ends. Raises GatewayError or ScoreClientError before it has begun."""
        try:
            async with self._connections.hold("sse") as connection:
                remaining = stream.access.expires_at - self._clock()
                connection.end_after(remaining, Ending.UNAUTHENTICATED)
                async with beside(connection, _watch_for_leave, receive):
                    await self._tell(stream, connection, send)
        except EndedError as ended:
            # A browser takes any status but 200 for the last word, and does not come again.
            if not stream.started and ended.ending not in {Ending.GONE, Ending.RESTARTING}:
                raise _problem(ended.ending) from None
            await self._finish(stream, send, ended.ending)

    async def _tell(self, stream: EventStream, connection: Connection, send: Send) -> None:
        user_id = stream.access.user_id
        with (
            self._connections.admit(connection, user_id),
            self._feeds.hold(stream.period) as feed,
            feed.subscribe(user_id, stream.after_position) as subscription,
        ):
            news: News | None = await feed.open(subscription)
            async with beside(connection, feed.recall, subscription):
                while True:
                    await self._write(stream, send, _ALIVE if news is None else _encode(news))
                    for message in news.messages if news else ():
                        self._connections.metrics.count_sent("sse", message.event)
                    news = await self._next(subscription)

    async def _next(self, subscription: Subscription) -> News | None:
        try:
            async with asyncio.timeout(self._alive_seconds):
                return await subscription.news()
        except TimeoutError:
            return None
        except PeriodUnknownError:
            raise EndedError(Ending.PERIOD_UNKNOWN) from None

    async def _write(self, stream: EventStream, send: Send, body: bytes, *, more: bool = True) -> None:
        try:
            await TimeLimited(stream.write(send, body, more=more), self._write_seconds)
        except TimeoutError:
            raise EndedError(Ending.TOO_SLOW) from None

    async def _finish(self, stream: EventStream, send: Send, ending: Ending) -> None:
        """Send the reason, and when to come again, if the client is still connected."""
        if ending not in {Ending.GONE, Ending.TOO_SLOW}:
            retry = self._randomness.randint(*_RETRY_MS) if ending is Ending.RESTARTING else None
            last = format_sse_event(comment=ending.reason, retry=retry)
            await self._write(stream, send, last, more=False)


async def _watch_for_leave(receive: Receive) -> None:
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except HTTPException:  # A body too large or too slow, and there should be none.
        raise EndedError(Ending.PROTOCOL) from None
    raise EndedError(Ending.GONE)


def _encode(news: News) -> bytes:
    last = len(news.messages) - 1
    return b"".join(
        format_sse_event(event=message.event, data_str=message.text, id=news.position if n == last else None)
        for n, message in enumerate(news.messages)
    )


def _problem(ending: Ending) -> GatewayError:
    match ending:
        case Ending.UNAUTHENTICATED:
            return UnauthenticatedError()
        case Ending.PROTOCOL:
            return InvalidRequestError({"body": "must be empty"})
        case Ending.TOO_MANY_OF_USER:
            return RateLimitedError(_RETRY_SECONDS)
        case _:
            return UnavailableError(_RETRY_SECONDS)
