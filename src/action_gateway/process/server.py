"""Serves both ports, and stops without losing anything.

A stop has an order: not ready; a while for balancers to notice, in which answers go on but each is the last
on its connection, and no socket is let in; the sockets, spread over seconds, which reconnect elsewhere; the
requests under way; the parts. Each step is bounded, and a second signal ends the waiting.
"""

import asyncio
import json
import resource
import signal
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from action_gateway.domain.clock import Clock
from action_gateway.edge.listener import Listener, listen
from action_gateway.process.app import create_admin_app, create_app
from action_gateway.process.parts import Parts, open_parts
from action_gateway.settings import ServeSettings, SetupError
from action_gateway.streams.conversation import MESSAGE_BYTES_MAX

_ADMIN_CONNECTIONS: Final = 100

_log = structlog.get_logger(__name__)


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

    async def drain(self, hurry: asyncio.Event) -> None:
        """Stop being asked: be not ready, wait until that is known, and let the sockets go.

        Once `hurry` is set, nothing is waited for any more.
        """
        settings = self.parts.settings
        await self.parts.readiness.stop()
        self.parts.connections.let_nobody_in()
        await _unless(hurry, asyncio.sleep(settings.drain_seconds))
        await _unless(hurry, self.parts.connections.close_all(settings.stop_seconds / 2))

    def hurry(self) -> None:
        """Give up on open requests when the gateway stops."""
        self.public.force_exit = self.admin.force_exit = True


async def serve(settings: ServeSettings) -> None:
    """Serve until a signal says to stop. Raises SetupError if the gateway cannot even start."""
    raise_file_limit()
    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    async with run(settings) as gateway:
        if settings.ready_file:
            _write_whole(settings.ready_file, json.dumps(gateway.addresses))
        _log.info("listening", **gateway.addresses)
        await stop.wait()
        _log.info("stopping")
        hurrying = asyncio.create_task(_hurry_when(hurry, gateway))
        await gateway.drain(hurry)
    hurrying.cancel()
    _log.info("stopped")


@asynccontextmanager
async def run(settings: ServeSettings, clock: Clock = time.time) -> AsyncIterator[Gateway]:
    """Serve inside the block.

    Raises:
        SetupError: keys or certificates cannot be used, or an address cannot be bound.
    """
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(open_parts(settings, clock))
        try:
            admin = await stack.enter_async_context(_listen_for_operators(parts))
            public = await stack.enter_async_context(_listen_for_players(parts))
        except OSError as error:
            raise SetupError([f"cannot listen: {error.strerror}"]) from error
        parts.metrics.follow(
            "gateway_connections", "Open connections.", lambda: len(public.server_state.connections)
        )
        yield Gateway(parts, public, admin)
        # Both at once, instead of one after the other as the stack does it.
        public.should_exit = admin.should_exit = True


def raise_file_limit() -> None:
    """Let this process open as many files as it may: systems give 1,024 at first, and every socket is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # Some systems name a limit that they do not give.
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _listen_for_operators(parts: Parts) -> AbstractAsyncContextManager[Listener]:
    return listen(
        create_admin_app(parts.readiness, parts.metrics.registry),
        parts.settings.admin_listen,
        max_connections=_ADMIN_CONNECTIONS,
        stop_seconds=1,
    )


def _listen_for_players(parts: Parts) -> AbstractAsyncContextManager[Listener]:
    return listen(
        create_app(parts),
        parts.settings.listen,
        max_connections=parts.settings.max_connections,
        head_seconds=parts.settings.head_seconds,
        stop_seconds=parts.settings.stop_seconds,
        message_bytes_max=MESSAGE_BYTES_MAX,
        trusted_proxies=parts.settings.trusted_proxies,
    )


async def _unless(hurry: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do some work, but give it up once `hurry` is set."""
    working, hurrying = asyncio.create_task(work), asyncio.create_task(hurry.wait())
    await asyncio.wait([working, hurrying], return_when=asyncio.FIRST_COMPLETED)
    hurrying.cancel()
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working


async def _hurry_when(hurry: asyncio.Event, gateway: Gateway) -> None:
    await hurry.wait()
    gateway.hurry()


def _write_whole(file: Path, text: str) -> None:
    draft = file.with_name(f".{file.name}.draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)
