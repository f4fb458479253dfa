"""The outer layers of the application: what holds for every request, whatever its route."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from action_gateway.edge.problems import answer
from action_gateway.errors import HeadersTooLargeError
from service_runtime.http.time_limit import TimeLimited

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
_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
_NOT_STORED: Final = (b"cache-control", b"no-store")
_HTTPS_ALONE: Final = (b"strict-transport-security", b"max-age=31536000")
_LAST: Final = (b"connection", b"close")


class AnswerHeaders:
    """Tells browsers what a response may do, and clients to go elsewhere once this process stops.

    Answers are not stored unless they say that they may be. After an answer with `Connection: close` a client
    opens another connection, which leads to another process.
    """

    def __init__(self, app: ASGIApp, is_stopping: Callable[[], bool]) -> None:
        self._app = app
        self._is_stopping = is_stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._own(scope, message["headers"])]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)

    def _own(self, scope: Scope, given: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        yield from _HEADERS
        if not any(name == b"cache-control" for name, _ in given):
            yield _NOT_STORED
        if scope["scheme"] == "https":
            yield _HTTPS_ALONE
        if self._is_stopping():
            yield _LAST


class RequestGuard:
    """Takes headers and bodies of a bounded size in a bounded time, however they are sent."""

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
        if self._deadline is None:
            return await self._receive()
        try:
            left = self._deadline - asyncio.get_running_loop().time()
            message = await TimeLimited(self._receive_next(), left)
        except TimeoutError:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT) from None
        self._size += len(message.get("body", b""))
        if self._size > MAX_BODY_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if not message.get("more_body", False):
            self._deadline = None
        return message

    async def _receive_next(self) -> Message:
        return await self._receive()
