"""The outer layers of the application: what holds for every request, whatever its route."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from action_gateway.edge.problems import answer
from action_gateway.errors import HeadersTooLargeError

MAX_HEADER_BYTES: Final = 16 * 1024
MAX_BODY_BYTES: Final = 16 * 1024
_FIELD_BYTES: Final = 4
"""What stands between a header's name and its value, and after that."""
_BODY_SECONDS: Final = 10.0

# Everything comes from this server: no inline code, no other host, no frame around it.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class SecurityHeaders:
    """Tells browsers what a response may do. Answers are not stored unless they say that they may be."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class ConnectionClose:
    """Has clients open their next connection once this process stops, which leads them elsewhere."""

    def __init__(self, app: ASGIApp, is_stopping: Callable[[], bool]) -> None:
        self._app = app
        self._is_stopping = is_stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_farewell(message: Message) -> None:
            if message["type"] == "http.response.start" and self._is_stopping():
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, receive, send_farewell if scope["type"] == "http" else send)


class RequestGuard:
    """Takes heads and bodies of a bounded size in a bounded time, however they are sent."""

    def __init__(self, app: ASGIApp, seconds: float = _BODY_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _header_size(scope) > MAX_HEADER_BYTES:
            await answer(HeadersTooLargeError())(scope, receive, send)
            return
        body = _Body(receive, asyncio.get_running_loop().time() + self._seconds)
        await self._app(scope, body.receive, send)


def _header_size(scope: Scope) -> int:
    fields = sum(len(name) + len(value) + _FIELD_BYTES for name, value in scope["headers"])
    return fields + len(scope["raw_path"]) + len(scope["query_string"])


class _Body:
    """The body of one request, as it comes in."""

    def __init__(self, receive: Receive, deadline: float) -> None:
        self._receive = receive
        self._deadline: float | None = deadline
        self._size = 0

    async def receive(self) -> Message:
        """Receive the next part. Raises HTTPException if the body is too large or too slow."""
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT) from None
        self._size += len(message.get("body", b""))
        if self._size > MAX_BODY_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if not message.get("more_body", False):
            self._deadline = None
        return message
