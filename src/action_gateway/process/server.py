"""Serves both ports, and stops without losing anything.

A stop has an order: not ready; a while for balancers to notice, in which answers go on but each is the last
on its connection, and new sockets are rejected; the sockets, spread over seconds, which reconnect elsewhere;
the requests under way; the parts. Each step is bounded, and a second signal ends the waiting.
"""

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from action_gateway.domain.clock import Clock
from action_gateway.edge.guards import MAX_HEADER_BYTES
from action_gateway.process.app import create_app as create_public_app
from action_gateway.process.parts import Parts, open_parts
from action_gateway.settings import ServeSettings
from action_gateway.streams.conversation import MESSAGE_BYTES_MAX
from service_runtime.http.admin import LISTENER as ADMIN_LISTENER
from service_runtime.http.admin import create_app
from service_runtime.http.http_listener import Listener, ListenerSettings, bind
from service_runtime.http.http_listener import serve as serve_http
from service_runtime.lifecycle import StopSignals, run_until_stopped, wait_unless


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that serves."""

    parts: Parts
    public: Listener
    admin: Listener

    @property
    def addresses(self) -> dict[str, str]:
        """Where it really listens."""
        return {"http": str(self.public.address), "admin": str(self.admin.address)}

    async def stop(self, forced: asyncio.Event) -> None:
        """Take clients off: be not ready, wait until that is known, and close the sockets.

        Once `forced` is set, nothing is waited for any more.
        """
        settings = self.parts.settings
        await self.parts.readiness.stop()
        self.parts.connections.stop_accepting()
        await wait_unless(forced, settings.drain_seconds)
        closing = self.parts.connections.close_all(settings.stop_seconds / 2)
        await wait_unless(forced, settings.stop_seconds, closing)

    def force_stop(self) -> None:
        """Give up on open requests when the gateway stops."""
        self.public.force_exit = self.admin.force_exit = True


async def serve(settings: ServeSettings) -> None:
    """Serve until a signal says to stop. Raises SetupError if the gateway cannot even start."""
    raise_file_limit()
    signals = StopSignals()
    await run_until_stopped(_run_forceably(settings, signals.forced), signals, settings.ready_file)


@asynccontextmanager
async def run(settings: ServeSettings, clock: Clock = time.time) -> AsyncIterator[Gateway]:
    """Serve inside the block.

    Raises:
        SetupError: keys or certificates cannot be used, or an address cannot be bound.
    """
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(open_parts(settings, clock))
        admin_app = create_app(parts.readiness, parts.metrics.registry)
        # Closed here where the other cannot be bound; a listener closes its own.
        admin_bound, public_bound = (
            stack.enter_context(bind(address)) for address in (settings.admin_listen, settings.listen)
        )
        admin = await stack.enter_async_context(serve_http(admin_app, admin_bound, ADMIN_LISTENER))
        public = await stack.enter_async_context(
            serve_http(create_public_app(parts), public_bound, _public_listener(settings))
        )
        parts.metrics.follow(
            "gateway_connections", "Open connections.", lambda: len(public.server_state.connections)
        )
        yield Gateway(parts, public, admin)
        # Both at once, instead of one after the other as the stack does it.
        public.stop()
        admin.stop()


def raise_file_limit() -> None:
    """Let this process open as many files as it may: systems give 1,024 at first, and every socket is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # Some systems name a limit that they do not give.
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _public_listener(settings: ServeSettings) -> ListenerSettings:
    return ListenerSettings(
        connections_max=settings.max_connections,
        stop_seconds=settings.stop_seconds,
        header_seconds=settings.header_seconds,
        header_bytes_max=MAX_HEADER_BYTES,
        keep_alive_seconds=settings.keep_alive_seconds,
        message_bytes_max=MESSAGE_BYTES_MAX,
        trusted_proxies=settings.trusted_proxies,
    )


@asynccontextmanager
async def _run_forceably(settings: ServeSettings, forced: asyncio.Event) -> AsyncIterator[Gateway]:
    """Serve inside the block. A stop that is forced does not wait for its listeners either."""
    async with run(settings) as gateway:
        forcing = asyncio.create_task(_force_when(forced, gateway))
        yield gateway
    forcing.cancel()


async def _force_when(forced: asyncio.Event, gateway: Gateway) -> None:
    await forced.wait()
    gateway.force_stop()
