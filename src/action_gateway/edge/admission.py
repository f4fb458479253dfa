"""How many requests may be under way at a time: at capacity, the next one is rejected at once.

A request that waits behind thousands of others is answered when its client has long asked again, so the work
is wasted. With a small capacity, what is accepted is answered soon.

To reject must cost a small part of what a request costs: it comes before anything is read, and one line a
second in the log reports all. A client that does not wait as long as the rejection says is not read from:
the whole answer is sent at once, but its end is held back, and no next request is read before that.
Otherwise a thousand connections that ask again at once would leave no time for those that were accepted.

Probes are always answered, and the page gets its files. Event streams do not count, for they
stay; how many there may be stands in `connections.py`, and WebSockets are none of HTTP's requests.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from action_gateway.edge.problems import make_response
from action_gateway.errors import RateLimitedError
from action_gateway.metrics import AdmissionMetrics
from service_runtime.telemetry.throttle import Throttle

_LINES_A_SECOND: Final = 1

_log = structlog.get_logger(__name__)


class Admission:
    """Accepts each request, or rejects it at capacity. A layer of the application."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: AdmissionMetrics,
        *,
        capacity: int,
        open_paths: Collection[str],
        holds: bool = True,
        retry_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take how requests are met.

        Args:
            app: What is behind.
            metrics: Where requests in progress and rejections are counted.
            capacity: Requests in progress at most.
            open_paths: Paths whose requests are always accepted.
            holds: Whether the end of a rejection is held back. A proxy may give the connection to another
                client before that, who would wait for nothing.
            retry_seconds: After which time a rejected client may try again.
            clock: Seconds that never step back.
        """
        self._app = app
        self._metrics = metrics
        self._capacity = capacity
        self._open_paths = frozenset(open_paths)
        self._holds = holds
        self._under_way = 0
        self._lines = Throttle(_LINES_A_SECOND, clock)
        self._retry_seconds = retry_seconds
        self._rejection = make_response(RateLimitedError(retry_seconds))
        metrics.under_way.set_function(lambda: self._under_way)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
        elif self._under_way >= self._capacity:
            self._note_rejection()
            await self._rejection(scope, receive, partial(self._send_and_hold, send) if self._holds else send)
        else:
            self._under_way += 1
            try:
                await self._app(scope, partial(self._receive, receive), send)
            finally:
                self._under_way -= 1

    async def _send_and_hold(self, send: Send, message: Message) -> None:
        """Send a part of a rejection. It has one body, whose length its headers have told."""
        if message["type"] != "http.response.body":
            await send(message)
            return
        await send({**message, "more_body": True})
        await asyncio.sleep(self._retry_seconds)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _receive(self, receive: Receive) -> Message:
        """Receive a part of the body. Meanwhile the request does not count, as a client may send it slowly.

        Raises:
            RateLimitedError: the process is at capacity by then.
        """
        self._under_way -= 1
        try:
            message = await receive()
            if message["type"] == "http.request" and self._under_way >= self._capacity:
                self._note_rejection()
                raise RateLimitedError(self._retry_seconds)
        finally:
            self._under_way += 1
        return message

    def _note_rejection(self) -> None:
        self._metrics.rejected.inc()
        if (left_out := self._lines.let_through()) is not None:
            _log.warning("requests_rejected", capacity=self._capacity, count=left_out + 1)
