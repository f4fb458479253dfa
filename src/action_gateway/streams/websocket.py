"""`GET /leaderboard/ws?period=`: the leaderboard as it changes, over a WebSocket.

One task reads what the client says, one tells it the news; neither waits for another client. The connection
ends when the access token does, unless the client sends a newer one. What a client may say, and what it is
told when it says something else, stands in `conversation.py`.
"""

import asyncio
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

import structlog
from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from action_gateway.accounts.tokens import Access
from action_gateway.domain.clock import Clock
from action_gateway.edge.suspicions import Suspicions
from action_gateway.errors import PeriodUnknownError, UnavailableError
from action_gateway.leaderboard.feed import Feed
from action_gateway.leaderboard.feeds import Feeds
from action_gateway.leaderboard.subscription import News, Subscription
from action_gateway.request_context import note_user
from action_gateway.streams.connection import Connection, beside
from action_gateway.streams.connections import Connections
from action_gateway.streams.conversation import Conversation, Verify, allows_origin
from action_gateway.streams.endings import EndedError, Ending
from score_client.errors import ScoreClientError
from service_runtime.http.time_limit import TimeLimited
from service_runtime.telemetry.throttle import Throttle

PATH = "/leaderboard/ws"
_REJECTIONS_A_SECOND: Final = 1
"""Rejected origins that are logged."""
_SHOWN_MAX: Final = 200
"""Characters of a header that are."""

_log = structlog.get_logger(__name__)


class LeaderboardSockets:
    """Serves the WebSockets of the leaderboard."""

    def __init__(
        self,
        feeds: Feeds,
        connections: Connections,
        verify: Verify,
        *,
        clock: Clock,
        allowed_origins: Collection[str] = (),
        auth_seconds: float = 5.0,
        write_seconds: float = 10.0,
        close_seconds: float = 5.0,
    ) -> None:
        """Take the seconds a client may take to authenticate, to receive a message, and to close."""
        self._feeds = feeds
        self._connections = connections
        self._verify = verify
        self._clock = clock
        self._allowed_origins = frozenset(allowed_origins)
        self._auth_seconds = auth_seconds
        self._write_seconds = write_seconds
        self._close_seconds = close_seconds
        self._rejections = Throttle(_REJECTIONS_A_SECOND, time.monotonic)

    def router(self) -> APIRouter:
        """Return the route, relative to the prefix of the API."""
        router = APIRouter()
        router.add_api_websocket_route(PATH, self.serve)
        return router

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one socket until it ends."""
        period = websocket.query_params.get("period", "")
        # The server logs the URL of a socket that is accepted, and some clients put their token into it.
        websocket.scope["query_string"] = b""
        suspicions: Suspicions = websocket.app.state.suspicions
        ending = Ending.FAULT
        with suppress(WebSocketDisconnect):
            await websocket.accept()
            try:
                async with self._connections.hold("websocket") as connection:
                    with suspicions.watching(websocket.client):
                        await self._converse(websocket, connection, period)
            except EndedError as ended:
                ending = ended.ending
            except Exception:  # noqa: BLE001 - logged whole; the client gets a close code and no detail
                _log.exception("websocket_failed")
            await self._close(websocket, ending)

    async def _converse(self, websocket: WebSocket, connection: Connection, period: str) -> None:
        origins, host = websocket.headers.getlist("origin"), websocket.headers.get("host")
        if not allows_origin(origins, host, self._allowed_origins):
            self._note_rejected(origins, host)
            raise EndedError(Ending.FOREIGN_ORIGIN)
        conversation = Conversation(self._verify)
        access = conversation.greet(websocket.headers.getlist("authorization"))
        if access is None:
            connection.end_after(self._auth_seconds, Ending.AUTH_TIMEOUT)
            access = await self._receive(websocket, conversation)
        note_user(access.user_id)
        self._extend(connection, access)
        with (
            self._connections.admit(connection, access.user_id),
            self._hold(period) as feed,
            feed.subscribe(access.user_id) as subscription,
        ):
            async with beside(connection, self._send_news, websocket, feed, subscription):
                while True:
                    self._extend(connection, await self._receive(websocket, conversation))

    @contextmanager
    def _hold(self, period: str) -> Iterator[Feed]:
        """Keep the feed of a period open inside the block. Raises EndedError if there is none."""
        with ExitStack() as stack:
            try:
                feed = stack.enter_context(self._feeds.hold(period))
            except PeriodUnknownError:
                raise EndedError(Ending.PERIOD_UNKNOWN) from None
            except UnavailableError:
                raise EndedError(Ending.OVERLOADED) from None
            yield feed

    def _note_rejected(self, origins: Sequence[str], host: str | None) -> None:
        """Log both sides of the comparison: a proxy that changes the Host has every page rejected."""
        if (left_out := self._rejections.let_through()) is not None:
            sent = [origin[:_SHOWN_MAX] for origin in origins]
            shown = None if host is None else host[:_SHOWN_MAX]
            _log.warning("origin_rejected", origins=sent, host=shown, left_out=left_out)

    def _extend(self, connection: Connection, access: Access) -> None:
        connection.end_after(access.expires_at - self._clock(), Ending.UNAUTHENTICATED)

    async def _receive(self, websocket: WebSocket, conversation: Conversation) -> Access:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise EndedError(Ending.GONE)
        return conversation.receive(message.get("text"), asyncio.get_running_loop().time())

    async def _send_news(self, websocket: WebSocket, feed: Feed, subscription: Subscription) -> None:
        try:
            news = await feed.open(subscription)
            while True:
                await self._send(websocket, news)
                news = await subscription.news()
        except PeriodUnknownError:
            raise EndedError(Ending.PERIOD_UNKNOWN) from None
        except (UnavailableError, ScoreClientError):
            raise EndedError(Ending.UNAVAILABLE) from None

    async def _send(self, websocket: WebSocket, news: News) -> None:
        for message in news.messages:
            try:
                await TimeLimited(websocket.send_text(message.text), self._write_seconds)
            except TimeoutError:
                raise EndedError(Ending.TOO_SLOW) from None
            except WebSocketDisconnect:
                raise EndedError(Ending.GONE) from None
            self._connections.metrics.count_sent("websocket", message.event)

    async def _close(self, websocket: WebSocket, ending: Ending) -> None:
        """Send the reason, if the client is still connected."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._close_seconds):
                await websocket.close(ending.code, ending.reason)
