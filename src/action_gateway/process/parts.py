"""What a gateway is made of, opened in order and closed in the other one."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from limits.errors import StorageError

from action_gateway.accounts.accounts import Accounts, DeletionRules
from action_gateway.accounts.departed import Departed
from action_gateway.accounts.freed_names import FreedNames
from action_gateway.accounts.keys import KeyFolder
from action_gateway.accounts.passwords import Passwords
from action_gateway.accounts.score_tickets import ScoreTickets
from action_gateway.accounts.sessions import Sessions
from action_gateway.accounts.settlement import Settlement
from action_gateway.accounts.tokens import AccessTokens, ActionTokens
from action_gateway.actions.actions import Actions
from action_gateway.actions.editions import Editions
from action_gateway.actions.instants import Instants
from action_gateway.actions.openings import Openings
from action_gateway.actions.payments import Payments
from action_gateway.domain.clock import Clock
from action_gateway.edge.suspicions import Suspicions
from action_gateway.errors import GatewayError
from action_gateway.issuers.allowance import Allowance
from action_gateway.issuers.outside_tickets import AnyTickets, OutsideTickets
from action_gateway.issuers.register import Register
from action_gateway.issuers.rejections import Rejections
from action_gateway.leaderboard.board_reader import BoardReader
from action_gateway.leaderboard.calendar import Calendar
from action_gateway.leaderboard.feed import Feed
from action_gateway.leaderboard.feeds import Feeds
from action_gateway.leaderboard.results import Results
from action_gateway.leaderboard.usernames import Usernames
from action_gateway.limits.limits import Limits, Rates
from action_gateway.limits.redis_storage import Counters
from action_gateway.metrics import Metrics
from action_gateway.moderation.moderation import Moderation
from action_gateway.moderation.moderators import Moderators
from action_gateway.moderation.surges import Surges
from action_gateway.moderation.suspicion_log import SuspicionLog
from action_gateway.process import gauges
from action_gateway.process.checks import DATABASE, checks_of
from action_gateway.process.cleanup import run_cleanup
from action_gateway.process.dependencies import open_dependencies
from action_gateway.routes.leaderboards import Leaderboard
from action_gateway.settings import ServeSettings
from action_gateway.store.store import Store
from action_gateway.streams.connections import ConnectionMetrics, Connections
from action_gateway.streams.events import LeaderboardEvents
from action_gateway.streams.websocket import LeaderboardSockets
from score_client.client import ScoreClient
from score_client.errors import ScoreClientError
from service_runtime.errors import SetupError
from service_runtime.readiness import Readiness

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
    accounts: Accounts
    actions: Actions
    instants: Instants
    score_tickets: AnyTickets
    connections: Connections
    suspicions: Suspicions
    suspicion_log: SuspicionLog
    leaderboard: Leaderboard
    moderators: Moderators
    moderation: Moderation
    sockets: LeaderboardSockets
    events: LeaderboardEvents


@dataclass(frozen=True, slots=True)
class _Tokens:
    """The makers of tokens, and who else makes tickets."""

    access_keys: KeyFolder
    access: AccessTokens
    action: ActionTokens
    score: ScoreTickets
    register: Register


@dataclass(frozen=True, slots=True)
class _Shared:
    """What several parts are made of."""

    settings: ServeSettings
    clock: Clock
    metrics: Metrics
    departed: Departed
    tokens: _Tokens
    store: Store
    counters: Counters
    score_client: ScoreClient
    limits: Limits
    rejections: Rejections
    usernames: Usernames
    calendar: Calendar


@asynccontextmanager
async def open_parts(settings: ServeSettings, clock: Clock) -> AsyncIterator[Parts]:
    """Open everything. Raises SetupError if keys, certificates or issuers cannot be used."""
    async with AsyncExitStack() as stack:
        shared = await _open_shared(stack, settings, clock)
        metrics, tokens, usernames = shared.metrics, shared.tokens, shared.usernames
        feeds = await _open_feeds(stack, shared)
        connections = _make_connections(shared)
        for listener in (usernames.forget, feeds.remove_names, connections.end_all_of):
            shared.departed.listen(listener)
        suspicion_log = SuspicionLog(shared.store.suspicions, clock)
        await stack.enter_async_context(suspicion_log.running())
        sessions, accounts = _open_accounts(stack, shared)
        actions, instants = _make_actions(shared)
        gauges.follow_process(metrics)
        gauges.follow_certificates(shared.score_client, metrics)
        gauges.follow_feeds(feeds, metrics)
        gauges.follow_issuers(tokens.register, metrics)
        yield Parts(
            settings=settings,
            metrics=metrics,
            readiness=await _run_readiness(stack, shared, feeds),
            access_keys=tokens.access_keys,
            access_tokens=tokens.access,
            sessions=sessions,
            accounts=accounts,
            actions=actions,
            instants=instants,
            score_tickets=AnyTickets(tokens.score, OutsideTickets(tokens.register, shared.rejections, clock)),
            connections=connections,
            suspicion_log=suspicion_log,
            suspicions=Suspicions(
                metrics.registry,
                note_user=suspicion_log.note,
                surges=Surges(floor=settings.surge_points_per_minute),
            ),
            moderators=Moderators(shared.store.roles, shared.limits),
            moderation=Moderation(shared.score_client, shared.store, usernames, settings.board_id),
            leaderboard=Leaderboard(
                shared.score_client,
                usernames,
                shared.calendar,
                Results(shared.score_client, settings.board_id),
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


async def _open_shared(stack: AsyncExitStack, settings: ServeSettings, clock: Clock) -> _Shared:
    metrics = Metrics()
    departed = Departed(clock, lifetime=settings.access_token_seconds)
    tokens = _make_tokens(settings, clock, departed)
    dependencies = await stack.enter_async_context(open_dependencies(settings))
    return _Shared(
        settings=settings,
        clock=clock,
        metrics=metrics,
        departed=departed,
        tokens=tokens,
        store=dependencies.store,
        counters=dependencies.counters,
        score_client=dependencies.score_client,
        limits=_make_limits(dependencies.counters, settings),
        rejections=Rejections(metrics.registry),
        usernames=Usernames(dependencies.store.get_usernames),
        calendar=Calendar(dependencies.score_client, clock),
    )


async def _open_feeds(stack: AsyncExitStack, shared: _Shared) -> Feeds:
    """Begin to watch the leaderboard."""
    board_id = shared.settings.board_id

    def make_feed(period: str) -> Feed:
        reader = BoardReader(shared.score_client, shared.usernames, board_id, period)
        return Feed(reader, clock=shared.clock)

    return await stack.enter_async_context(Feeds(make_feed))


def _open_accounts(stack: AsyncExitStack, shared: _Shared) -> tuple[Sessions, Accounts]:
    """Make what players log in and leave by, and begin to take off those who left anywhere."""
    settings, clock, store = shared.settings, shared.clock, shared.store
    passwords = stack.enter_context(
        Passwords(workers=settings.password_workers, queue=settings.password_queue)
    )
    gauges.follow_use(store, passwords, settings, shared.metrics)
    freed_names, rules = FreedNames.of(settings, clock), DeletionRules.of(settings)
    lifetime = timedelta(seconds=settings.refresh_token_seconds)
    _start(stack, run_cleanup(store, clock, refresh_lifetime=lifetime), "cleanup")
    _start(stack, shared.departed.follow(store.departures), "departures")
    settlement = Settlement(store, shared.score_client, rules, board_id=settings.board_id)
    _start(stack, settlement.run(), "settlement")
    sessions = Sessions(
        store=store,
        passwords=passwords,
        limits=shared.limits,
        access_tokens=shared.tokens.access,
        freed_names=freed_names,
        clock=clock,
        lifetime=settings.refresh_token_seconds,
        grace=settings.refresh_grace_seconds,
    )
    accounts = Accounts(
        store=store,
        passwords=passwords,
        limits=shared.limits,
        freed_names=freed_names,
        departed=shared.departed,
        awards=shared.score_client,
        rules=rules,
        board_id=settings.board_id,
        clock=clock,
    )
    return sessions, accounts


def _make_actions(shared: _Shared) -> tuple[Actions, Instants]:
    settings = shared.settings
    editions, payments = Editions(shared.store), Payments(shared.score_client)
    openings = Openings(
        payments,
        shared.calendar,
        shared.clock,
        board_id=settings.board_id,
        lifetime=settings.action_token_seconds,
        issuer=settings.issuer,
    )
    actions = Actions(
        store=shared.store,
        editions=editions,
        openings=openings,
        payments=payments,
        limits=shared.limits,
        action_tokens=shared.tokens.action,
        clock=shared.clock,
        attempts=settings.attempts_per_token,
    )
    allowance = Allowance(
        shared.tokens.register, shared.limits, shared.rejections, shared.store.get_usernames
    )
    instants = Instants(
        store=shared.store,
        editions=editions,
        openings=openings,
        payments=payments,
        limits=shared.limits,
        tickets=shared.tokens.score,
        allowance=allowance,
    )
    return actions, instants


async def _run_readiness(stack: AsyncExitStack, shared: _Shared, feeds: Feeds) -> Readiness:
    """Begin to check what the gateway depends on; `stack` ends it."""
    checks = checks_of(shared.store, shared.counters, shared.score_client, feeds)
    readiness = Readiness(
        checks,
        shared.metrics.ready,
        required=DATABASE,
        all_at_start=True,
        unavailable=(GatewayError, StorageError, ScoreClientError),
    )
    shared.metrics.follow_parts(checks, readiness.has)
    return await stack.enter_async_context(readiness.running(_CHECK_SECONDS, _CHECK_SECONDS_AT_START))


def _make_tokens(settings: ServeSettings, clock: Clock, departed: Departed) -> _Tokens:
    access_keys, action_keys = KeyFolder(settings.access_keys_dir), KeyFolder(settings.action_keys_dir)
    if access_keys.key_ids() & action_keys.key_ids():
        raise SetupError(["access tokens and action tokens must not share a key"])
    access = AccessTokens(
        access_keys,
        issuer=settings.issuer,
        lifetime=settings.access_token_seconds,
        clock=clock,
        departed=departed,
    )
    score = ScoreTickets(
        action_keys,
        issuer=settings.issuer,
        lifetime=settings.ticket_seconds,
        clock=clock,
        departed=departed,
    )
    register = Register(
        settings.ticket_issuers_file,
        own_issuer=settings.issuer,
        own_key_ids=lambda: access_keys.key_ids() | action_keys.key_ids(),
    )
    return _Tokens(access_keys, access, ActionTokens(action_keys, issuer=settings.issuer), score, register)


def _make_limits(counters: Counters, settings: ServeSettings) -> Limits:
    rates = Rates(
        starts=settings.starts_per_minute,
        completes=settings.completes_per_minute,
        redeems=settings.redeems_per_minute,
        logins=settings.logins_per_minute,
        registrations=settings.registrations_per_minute,
        exports=settings.exports_per_minute,
        moderations=settings.moderations_per_minute,
    )
    return Limits(counters.storage, rates, seconds=settings.redis_timeout_seconds)


def _make_connections(shared: _Shared) -> Connections:
    return Connections(
        ConnectionMetrics(shared.metrics.registry),
        limit=shared.settings.max_sockets,
        limit_per_user=shared.settings.max_sockets_per_user,
        departed=shared.departed,
    )


def _start(stack: AsyncExitStack, work: Coroutine[object, object, None], name: str) -> None:
    """Do some work beside everything else, until the parts are closed."""
    stack.callback(asyncio.create_task(work, name=name).cancel)
