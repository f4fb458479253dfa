"""uvicorn as a library: one application on one socket, started and stopped by the process alone.

Each wait for a client is bounded: for the headers of a request here, for the next request by uvicorn, and for
a peer that does not read by the system. Bodies are bounded by the application.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

import httptools
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service_runtime.errors import SetupError
from service_runtime.http.addresses import spell_networks
from service_runtime.settings import Address

_UNREAD_SECONDS: Final = 30
"""After which the system gives up a peer that acknowledges nothing of what was sent."""
_BACKLOG: Final = 2048
_VERSIONS: Final = ("1.1", "1.0")
_PARSED_AT_ONCE: Final = 4096
"""Bytes. Some hundred requests at most fit into them."""
_JOINED_MAX: Final = 16_384
"""Bytes that are kept for what is written next."""
_DATE_SECONDS: Final = 1.0
"""How old the date in answers may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """What one listener takes in."""

    connections_max: int
    """Open connections; more are answered 503."""
    stop_seconds: int
    """How long open requests may go on at a stop."""
    header_seconds: float = 10.0
    """How long the headers of a request may take to arrive."""
    header_bytes_max: int = 16 * 1024
    keep_alive_seconds: int = 75
    """How long a connection may wait for its next request."""
    message_bytes_max: int = 4096
    """Of one WebSocket message; 0 serves no WebSockets."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks whose X-Forwarded-For and -Proto count."""


class _JoinedWrites:
    """A connection on which what is written in one turn of the event loop is sent at once.

    uvicorn writes headers and body of an answer one after the other, and uvloop sends each at once: one
    more system call here, one more segment, and one more time that the client is woken.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Send data before the event loop goes on, unless `flush` is called before."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size > _JOINED_MAX:
            self.flush()

    def flush(self) -> None:
        """Send what was written."""
        if self._parts and not self.transport.is_closing():
            self.transport.write(b"".join(self._parts))
        self._parts.clear()
        self._size = 0

    def close(self) -> None:
        """Close the connection once everything was sent."""
        self.flush()
        self.transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 by llhttp, with the bounds that uvicorn leaves to users of that parser.

    - A connection on which the headers of a request take too long to arrive is closed. While a request is
      served nothing is counted. At any other time what has begun to arrive must be whole within some seconds,
      from its first byte on, or from the start of the connection: bytes that come one by one gain no time.
    - Headers that are not whole are kept up to a size.
    - Requests of a connection are parsed ahead a few at a time; what else has come waits as it came.
    - What is no HTTP ends the connection after the answers to what came before it.
    - A request is of HTTP/1 and names one `Host` (RFC 9112, 3.2); the parser takes others, too.

    The headers and the body of an answer are sent together.
    """

    _writes: _JoinedWrites

    def __init__(self, *args: Any, header_seconds: float, header_bytes_max: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_seconds = header_seconds
        self._header_bytes_max = header_bytes_max
        self._deadline: asyncio.TimerHandle | None = None
        self._in_headers = False
        self._header_bytes = 0
        self._unparsed = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        self._writes = _JoinedWrites(transport, self.loop)
        super().connection_made(cast("asyncio.Transport", self._writes))
        self._start_waiting()

    def data_received(self, data: bytes) -> None:
        """Take in what has come; wait for the rest if it is not a whole request."""
        if self._unparsed or len(data) > _PARSED_AT_ONCE:
            self._unparsed += data
            self._parse_on()
        else:
            self._parse(data)
        if self._is_answering:
            self._stop_waiting()
        elif self._deadline is None and self.transport.get_protocol() is self:
            self._start_waiting()

    def on_message_begin(self) -> None:
        """Begin to count the bytes of the headers."""
        super().on_message_begin()
        self._in_headers, self._header_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Begin with a request. What is raised here makes it none."""
        self._in_headers = False
        version = self.parser.get_http_version()
        hosts = sum(name == b"host" for name, _ in self.headers)
        if version not in _VERSIONS or hosts > 1 or (hosts == 0 and version != "1.0"):
            raise httptools.HttpParserError("not HTTP/1.1 as RFC 9112 has it")
        super().on_headers_complete()
        if self.parser.should_upgrade() and not self._should_upgrade():
            # The parser reads nothing after headers that offer another protocol.
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """Send the answer, and go on with what has come meanwhile."""
        self._writes.flush()
        super().on_response_complete()
        if self._unparsed and not self.transport.is_closing():
            self.data_received(b"")

    def send_400_response(self, msg: str) -> None:
        """Reject what is no request, unless others are to be answered before."""
        if self._is_answering and not self.cycle.more_body:
            self.cycle.keep_alive = False
        elif self._is_answering and self.cycle.response_started:
            self.transport.close()
        else:
            super().send_400_response(msg)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, unless requests before are to be answered on it."""
        if self._is_answering:
            self.cycle.keep_alive = False
            return
        self._stop_waiting()
        self.transport = self._writes.transport
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        self._unparsed.clear()
        super().connection_lost(exc)

    @property
    def _is_answering(self) -> bool:
        # uvicorn does not say that there is no cycle before the first request.
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]

    def _parse_on(self) -> None:
        while self._unparsed and not self.transport.is_closing() and self.transport.get_protocol() is self:
            if self.pipeline:
                self.flow.pause_reading()
                return
            part = bytes(self._unparsed[:_PARSED_AT_ONCE])
            del self._unparsed[:_PARSED_AT_ONCE]
            self._parse(part)

    def _parse(self, data: bytes) -> None:
        was_in_headers = self._in_headers
        super().data_received(data)
        if was_in_headers and self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > self._header_bytes_max:
                self.send_400_response("The headers of the request are too large.")

    def _start_waiting(self) -> None:
        self._deadline = self.loop.call_later(self._header_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Listener(uvicorn.Server):
    """A server that leaves signals to the process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_listening = asyncio.Event()
        self._is_stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and set the event."""
        await super().startup(sockets)
        self.is_listening.set()

    async def main_loop(self) -> None:
        """Renew the date in answers until the stop, which wakes this: uvicorn looks ten times a second."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(_DATE_SECONDS):
                    await self._is_stopping.wait()

    def stop(self) -> None:
        """Have it finish open requests and end."""
        self.should_exit = True
        self._is_stopping.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: a stop has an order that only the composition root knows."""
        yield

    @property
    def address(self) -> Address:
        """Where it really listens."""
        return address_of(self.servers[0].sockets[0])


def bind(address: Address) -> socket.socket:
    """Bind an address to listen on. `[::]` takes IPv4, too, as it does for gRPC.

    Raises:
        SetupError: it cannot be bound.
    """
    is_v6 = ":" in address.host
    try:
        bound = socket.create_server(
            (address.host, address.port),
            family=socket.AF_INET6 if is_v6 else socket.AF_INET,
            backlog=_BACKLOG,
            dualstack_ipv6=is_v6 and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        raise SetupError([f"cannot listen on {address}: {error.strerror}"]) from error
    # Accepted sockets have these options too. asyncio does not set this one on those of a listener made so,
    # and the body of an answer would wait for the peer to acknowledge the headers: 40 ms.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Closing a connection waits until all was sent, which might be never.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_SECONDS * 1000)
    return bound


def address_of(bound: socket.socket) -> Address:
    """Return where a socket is bound."""
    host, port, *_ = bound.getsockname()
    return Address(host, port)


@asynccontextmanager
async def serve(app: ASGIApp, bound: socket.socket, settings: ListenerSettings) -> AsyncIterator[Listener]:
    """Serve inside the block; at its end, finish open requests within the time set, and close the socket."""
    listener = Listener(_config(app, settings))
    serving = asyncio.create_task(listener.serve([bound]), name=f"listener {address_of(bound)}")
    try:
        await listener.is_listening.wait()
        yield listener
    finally:
        listener.stop()
        await serving


def _config(app: ASGIApp, settings: ListenerSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=partial(  # type: ignore[arg-type]
            BoundedProtocol,
            header_seconds=settings.header_seconds,
            header_bytes_max=settings.header_bytes_max,
        ),
        ws="websockets-sansio" if settings.message_bytes_max else "none",
        ws_max_size=settings.message_bytes_max,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=spell_networks(settings.trusted_proxies),
        backlog=_BACKLOG,
        limit_concurrency=settings.connections_max,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.stop_seconds,
        reset_contextvars=True,
    )
