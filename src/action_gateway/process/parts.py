"""What a gateway is made of, opened in order and closed in the other one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from limits.errors import StorageError

from action_gateway.accounts.keys import KeyFolder
from action_gateway.accounts.passwords import Passwords
from action_gateway.accounts.sessions import Sessions
from action_gateway.accounts.tokens import AccessTokens, ActionTokens
from action_gateway.actions.actions import Actions
from action_gateway.actions.payments import Payments
from action_gateway.domain.clock import Clock
from action_gateway.edge.leaderboards import Leaderboard
from action_gateway.edge.suspicions import Suspicions
from action_gateway.errors import GatewayError
from action_gateway.leaderboard.board_reader import BoardReader
from action_gateway.leaderboard.calendar import Calendar
from action_gateway.leaderboard.feed import Feed
from action_gateway.leaderboard.feeds import Feeds
from action_gateway.leaderboard.results import Results
from action_gateway.leaderboard.usernames import Usernames
from action_gateway.limits.limits import Limits, Rates
from action_gateway.limits.redis_storage import Counters
from action_gateway.metrics import Metrics
from action_gateway.process import gauges
from action_gateway.process.checks import DATABASE, checks_of
from action_gateway.process.cleanup import run_cleanup
from action_gateway.process.dependencies import Dependencies, open_dependencies
from action_gateway.settings import ServeSettings
from action_gateway.store.store import Store
from action_gateway.streams.connections import ConnectionMetrics, Connections
from action_gateway.streams.events import LeaderboardEvents
from action_gateway.streams.websocket import LeaderboardSockets
from score_client.errors import ScoreClientError
from service_runtime.readiness import Readiness
from service_runtime.settings import SetupError

_CHECK_SECONDS: Final = 1.0
_CHECK_SECONDS_AT_START: Final = 0.2


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that the application and the server use."""

    settings: ServeSettings
    metrics: Metrics
    readiness: Readiness
    access_keys: KeyFolder
    access_tokens: AccessTokens
    sessions: Sessions
    actions: Actions
    connections: Connections
    suspicions: Suspicions
    leaderboard: Leaderboard
    sockets: LeaderboardSockets
    events: LeaderboardEvents


@dataclass(frozen=True, slots=True)
class _Tokens:
    """The makers of tokens."""

    access_keys: KeyFolder
    access: AccessTokens
    action: ActionTokens


@asynccontextmanager
async def open_parts(settings: ServeSettings, clock: Clock) -> AsyncIterator[Parts]:
    """Open everything. Raises SetupError if keys or certificates cannot be used."""
    async with AsyncExitStack() as stack:
        metrics, tokens = Metrics(), _make_tokens(settings, clock)
        dependencies = await stack.enter_async_context(open_dependencies(settings))
        store, score_client = dependencies.store, dependencies.score_client
        limits = _make_limits(dependencies.counters, settings)
        passwords = stack.enter_context(
            Passwords(workers=settings.password_workers, queue=settings.password_queue)
        )
        usernames = Usernames(store.get_usernames)
        calendar = Calendar(score_client, clock)
        feeds = await stack.enter_async_context(
            Feeds(
                lambda period: Feed(
                    BoardReader(score_client, usernames, settings.board_id, period), clock=clock
                )
            )
        )
        connections = _make_connections(metrics, settings)
        gauges.follow_process(metrics)
        gauges.follow_certificates(score_client, metrics)
        gauges.follow_use(store, passwords, settings, metrics)
        gauges.follow_feeds(feeds, metrics)
        checks = checks_of(store, dependencies.counters, score_client, feeds)
        _start_cleanup(stack, store, clock, settings)
        readiness = Readiness(
            checks,
            metrics.ready,
            required=DATABASE,
            all_at_start=True,
            unavailable=(GatewayError, StorageError, ScoreClientError),
        )
        await stack.enter_async_context(readiness.running(_CHECK_SECONDS, _CHECK_SECONDS_AT_START))
        metrics.follow_parts(checks, readiness.has)
        yield Parts(
            settings=settings,
            metrics=metrics,
            readiness=readiness,
            access_keys=tokens.access_keys,
            access_tokens=tokens.access,
            sessions=_make_sessions(dependencies, passwords, limits, tokens, clock, settings),
            actions=_make_actions(dependencies, calendar, limits, tokens, clock, settings),
            connections=connections,
            suspicions=Suspicions(metrics.registry),
            leaderboard=Leaderboard(
                score_client,
                usernames,
                calendar,
                Results(score_client, settings.board_id),
                settings.board_id,
            ),
            sockets=LeaderboardSockets(
                feeds,
                connections,
                tokens.access.verify,
                clock=clock,
                allowed_origins=settings.allowed_origins,
                auth_seconds=settings.socket_auth_seconds,
            ),
            events=LeaderboardEvents(feeds, connections, clock=clock),
        )


def _make_tokens(settings: ServeSettings, clock: Clock) -> _Tokens:
    access_keys, action_keys = KeyFolder(settings.access_keys_dir), KeyFolder(settings.action_keys_dir)
    if access_keys.key_ids() & action_keys.key_ids():
        raise SetupError(["access tokens and action tokens must not share a key"])
    access = AccessTokens(
        access_keys, issuer=settings.issuer, lifetime=settings.access_token_seconds, clock=clock
    )
    return _Tokens(access_keys, access, ActionTokens(action_keys, issuer=settings.issuer))


def _make_limits(counters: Counters, settings: ServeSettings) -> Limits:
    rates = Rates(
        starts=settings.starts_per_minute,
        completes=settings.completes_per_minute,
        logins=settings.logins_per_minute,
        registrations=settings.registrations_per_minute,
    )
    return Limits(counters.storage, rates, seconds=settings.redis_timeout_seconds)


def _make_connections(metrics: Metrics, settings: ServeSettings) -> Connections:
    return Connections(
        ConnectionMetrics(metrics.registry),
        limit=settings.max_sockets,
        limit_per_user=settings.max_sockets_per_user,
    )


def _make_sessions(
    dependencies: Dependencies,
    passwords: Passwords,
    limits: Limits,
    tokens: _Tokens,
    clock: Clock,
    settings: ServeSettings,
) -> Sessions:
    return Sessions(
        store=dependencies.store,
        passwords=passwords,
        limits=limits,
        access_tokens=tokens.access,
        clock=clock,
        lifetime=settings.refresh_token_seconds,
        grace=settings.refresh_grace_seconds,
    )


def _make_actions(
    dependencies: Dependencies,
    calendar: Calendar,
    limits: Limits,
    tokens: _Tokens,
    clock: Clock,
    settings: ServeSettings,
) -> Actions:
    return Actions(
        store=dependencies.store,
        payments=Payments(dependencies.score_client),
        calendar=calendar,
        limits=limits,
        action_tokens=tokens.action,
        clock=clock,
        board_id=settings.board_id,
        lifetime=settings.action_token_seconds,
        attempts=settings.attempts_per_token,
    )


def _start_cleanup(stack: AsyncExitStack, store: Store, clock: Clock, settings: ServeSettings) -> None:
    lifetime = timedelta(seconds=settings.refresh_token_seconds)
    cleanup = asyncio.create_task(run_cleanup(store, clock, refresh_lifetime=lifetime), name="cleanup")
    stack.callback(cleanup.cancel)
