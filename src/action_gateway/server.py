"""The composition root: opens the parts in order, serves both ports, and stops without losing anything.

PostgreSQL, Redis and the score service may be away at the start: the process is up, is not ready and says
what is missing, and gets ready by itself.

A stop has an order: not ready; a while for balancers to notice; the sockets, which reconnect elsewhere; the
requests under way; the parts. A second signal ends the waiting.
"""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from action_gateway.actions import Actions
from action_gateway.app import Parts, create_admin_app, create_app
from action_gateway.clock import Clock
from action_gateway.connections import ConnectionMetrics, Connections
from action_gateway.conversation import MESSAGE_BYTES_MAX
from action_gateway.events import LeaderboardEvents
from action_gateway.feed import Feed
from action_gateway.health import Readiness
from action_gateway.keys import KeyFolder
from action_gateway.leaderboards import Leaderboard
from action_gateway.limits import Limits, Rates
from action_gateway.listener import Listener, listen
from action_gateway.passwords import Passwords
from action_gateway.sessions import Sessions
from action_gateway.settings import ServeSettings, SetupError, reveal
from action_gateway.store import REQUIRED_REVISION, Store
from action_gateway.sweeper import keep_sweeping
from action_gateway.telemetry import Metrics
from action_gateway.tokens import AccessTokens, ActionTokens
from action_gateway.usernames import Usernames
from action_gateway.websocket import LeaderboardSockets
from score_client.client import ScoreClient
from score_client.credentials import ClientCredentials
from score_client.errors import CredentialsError, NotFoundError

_REDIS_SECONDS: Final = 0.5
_REDIS_CONNECTIONS: Final = 50
_ADMIN_CONNECTIONS: Final = 100
_NOBODY: Final = UUID(int=0)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that serves."""

    parts: Parts
    public: Listener
    admin: Listener
    connections: Connections

    @property
    def addresses(self) -> dict[str, str]:
        """Where it really listens."""
        return {"http": str(self.public.address), "admin": str(self.admin.address)}

    async def drain(self, hurry: asyncio.Event) -> None:
        """Stop being asked: be not ready, wait until that is known, and let the sockets go.

        Once `hurry` is set, nothing is waited for any more, nor for open requests after that.
        """
        settings = self.parts.settings
        await self.parts.readiness.stop()
        await _unless(hurry, asyncio.sleep(settings.drain_seconds))
        await _unless(hurry, self.connections.close_all(settings.stop_seconds / 2))

    def hurry(self) -> None:
        """Give up on open requests when the gateway stops."""
        self.public.force_exit = self.admin.force_exit = True


async def serve(settings: ServeSettings) -> None:
    """Serve until a signal says to stop. Raises SetupError if the gateway cannot even start."""
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
        connections = Connections(
            ConnectionMetrics((metrics := Metrics()).registry),
            limit=settings.max_sockets,
            limit_per_user=settings.max_sockets_per_user,
        )
        parts = await _open(stack, settings, clock, metrics, connections)
        try:
            admin = await stack.enter_async_context(
                listen(
                    create_admin_app(parts.readiness, metrics.registry),
                    settings.admin_listen,
                    max_connections=_ADMIN_CONNECTIONS,
                    stop_seconds=1,
                )
            )
            public = await stack.enter_async_context(
                listen(
                    create_app(parts),
                    settings.listen,
                    max_connections=settings.max_connections,
                    stop_seconds=settings.stop_seconds,
                    message_bytes_max=MESSAGE_BYTES_MAX,
                    trusted_proxies=settings.trusted_proxies,
                )
            )
        except OSError as error:
            raise SetupError([f"cannot listen: {error.strerror}"]) from error
        yield Gateway(parts, public, admin, connections)
        public.should_exit = admin.should_exit = True


async def _open(
    stack: AsyncExitStack, settings: ServeSettings, clock: Clock, metrics: Metrics, connections: Connections
) -> Parts:
    access_keys, action_keys = KeyFolder(settings.access_keys_dir), KeyFolder(settings.action_keys_dir)
    if access_keys.key_ids() & action_keys.key_ids():
        raise SetupError(["access tokens and action tokens must not share a key"])
    store = await stack.enter_async_context(
        Store.open(
            settings.database_dsn,
            password=reveal(settings.database_password),
            prepare_threshold=settings.prepare_threshold,
            pool_max=settings.database_connections,
        )
    )
    redis = await stack.enter_async_context(_open_redis(settings))
    score_client = await _open_score_client(stack, settings)
    passwords = stack.enter_context(
        Passwords(workers=settings.password_workers, queue=settings.password_queue)
    )
    rates = Rates(
        starts=settings.starts_per_minute,
        completes=settings.completes_per_minute,
        logins=settings.logins_per_minute,
        registrations=settings.registrations_per_minute,
    )
    limits = Limits(redis.connection_pool, settings.redis_prefix, rates)
    access_tokens = AccessTokens(
        access_keys, issuer=settings.issuer, lifetime=settings.access_token_seconds, clock=clock
    )
    usernames = Usernames(store.get_usernames)
    feed = await stack.enter_async_context(Feed(score_client, usernames, settings.board_id))
    lifetime = timedelta(seconds=settings.refresh_token_seconds)
    sweeping = asyncio.create_task(keep_sweeping(store, clock, refresh_lifetime=lifetime), name="sweeper")
    stack.callback(sweeping.cancel)
    checks = {
        "database": lambda: _check_database(store),
        "redis": lambda: _check_redis(redis),
        "score_service": lambda: _check_score_service(score_client, settings.board_id),
    }
    return Parts(
        settings=settings,
        metrics=metrics,
        readiness=await stack.enter_async_context(Readiness(checks, metrics.ready)),
        access_keys=access_keys,
        access_tokens=access_tokens,
        sessions=Sessions(
            store=store,
            passwords=passwords,
            limits=limits,
            access_tokens=access_tokens,
            clock=clock,
            lifetime=settings.refresh_token_seconds,
            grace=settings.refresh_grace_seconds,
        ),
        actions=Actions(
            store=store,
            score_client=score_client,
            limits=limits,
            action_tokens=ActionTokens(action_keys, issuer=settings.issuer),
            clock=clock,
            board_id=settings.board_id,
            lifetime=settings.action_token_seconds,
            attempts=settings.attempts_per_token,
        ),
        leaderboard=Leaderboard(score_client, usernames, settings.board_id),
        sockets=LeaderboardSockets(
            feed,
            connections,
            access_tokens.verify,
            clock=clock,
            allowed_origins=settings.allowed_origins,
            auth_seconds=settings.socket_auth_seconds,
        ),
        events=LeaderboardEvents(feed, connections, clock=clock),
    )


@asynccontextmanager
async def _open_redis(settings: ServeSettings) -> AsyncIterator[Redis]:
    pool = BlockingConnectionPool.from_url(
        settings.redis_url,
        password=reveal(settings.redis_password),
        max_connections=_REDIS_CONNECTIONS,
        timeout=_REDIS_SECONDS,
        socket_timeout=_REDIS_SECONDS,
        socket_connect_timeout=_REDIS_SECONDS,
        # A count that was sent twice would be counted twice.
        retry=Retry(NoBackoff(), 0),
    )
    async with Redis.from_pool(pool) as redis:
        yield redis


async def _open_score_client(stack: AsyncExitStack, settings: ServeSettings) -> ScoreClient:
    credentials = ClientCredentials(
        settings.score_ca_file, settings.score_certificate_file, settings.score_key_file
    )
    client = ScoreClient(
        settings.score_target, credentials=credentials, timeout=settings.score_timeout_seconds
    )
    try:
        return await stack.enter_async_context(client)
    except CredentialsError as error:
        raise SetupError(
            [f"the certificate for the score service cannot be used: {error.message}"]
        ) from error


async def _check_database(store: Store) -> str | None:
    revision = await store.read_schema_revision()
    return None if revision >= REQUIRED_REVISION else "has an old schema; run `action-gateway migrate`"


async def _check_redis(redis: Redis) -> str | None:
    await redis.ping()
    return None


async def _check_score_service(score_client: ScoreClient, board_id: str) -> str | None:
    with suppress(NotFoundError):
        await score_client.get_award(board_id=board_id, award_id=_NOBODY)
    return None


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
