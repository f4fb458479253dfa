"""uvicorn as a library: one application on one socket, started and stopped by us alone.

Every wait for a client has an end: for the head of a request here, for its body in `edge.py`, for the next
request in uvicorn, and for a peer that does not read in the system.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final

import h11
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from action_gateway.edge.guards import MAX_HEAD_BYTES
from action_gateway.settings import Address

_KEEP_ALIVE_SECONDS: Final = 75
_UNREAD_SECONDS: Final = 30
"""After which a peer that takes in nothing of what was sent is given up by the system."""


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection on which a client takes too long to ask.

    While a request is served nothing is counted here. At any other time what has begun to come must be
    whole within some seconds, from its first byte on, or from the start of the connection: bytes that drip
    gain no time.
    """

    def __init__(self, *args: Any, head_seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_seconds = head_seconds
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._start_waiting()

    def data_received(self, data: bytes) -> None:
        """Take in what has come; wait for the rest if it is not a whole request."""
        super().data_received(data)
        # uvicorn does not say that there is none before the first request.
        if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr]
            self._stop_waiting()
        elif self._deadline is None and self.transport.get_protocol() is self:
            self._start_waiting()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over."""
        self._stop_waiting()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _start_waiting(self) -> None:
        self._deadline = self.loop.call_later(self._head_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Listener(uvicorn.Server):
    """A server that leaves signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.started_listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and tell."""
        await super().startup(sockets)
        self.started_listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: a stop has an order that only the composition root knows."""
        yield

    @property
    def address(self) -> Address:
        """Where it really listens."""
        host, port, *_ = self.servers[0].sockets[0].getsockname()
        return Address(host, port)


@asynccontextmanager
async def listen(
    app: Starlette,
    address: Address,
    *,
    max_connections: int,
    stop_seconds: int,
    head_seconds: float = 10.0,
    message_bytes_max: int = 4096,
    trusted_proxies: tuple[str, ...] = (),
) -> AsyncIterator[Listener]:
    """Serve inside the block; at its end, finish open requests for so long and no longer.

    Raises:
        OSError: the address cannot be bound.
    """
    config = uvicorn.Config(
        app,
        http=partial(ImpatientProtocol, head_seconds=head_seconds),  # type: ignore[arg-type]
        ws="websockets-sansio",
        ws_max_size=message_bytes_max,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        limit_concurrency=max_connections,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=stop_seconds,
        reset_contextvars=True,
    )
    listener = Listener(config)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    bound = socket.create_server((address.host, address.port), family=family, backlog=config.backlog)
    # Accepted sockets have these options too. asyncio does not set this one on those of a listener made so,
    # and the body of an answer would wait for the peer to acknowledge the head: 40 ms.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Closing one waits until all was sent, which might be never.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_SECONDS * 1000)
    serving = asyncio.create_task(listener.serve([bound]), name=f"listener {address}")
    try:
        await listener.started_listening.wait()
        yield listener
    finally:
        listener.should_exit = True
        await serving
