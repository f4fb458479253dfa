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


@asynccontextmanager
async def open_parts(settings: ServeSettings, clock: Clock) -> AsyncIterator[Parts]:
    """Open everything. Raises SetupError if keys, certificates or issuers cannot be used."""
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        departed = Departed(clock, lifetime=settings.access_token_seconds)
        tokens = _make_tokens(settings, clock, departed)
        dependencies = await stack.enter_async_context(open_dependencies(settings))
        store, score_client = dependencies.store, dependencies.score_client
        limits = _make_limits(dependencies.counters, settings)
        rejections = Rejections(metrics.registry)
        passwords = stack.enter_context(
            Passwords(workers=settings.password_workers, queue=settings.password_queue)
        )
        usernames = Usernames(store.get_usernames)
        calendar = Calendar(score_client, clock)
        editions, payments = Editions(store), Payments(score_client)
        openings = Openings(
            payments,
            calendar,
            clock,
            board_id=settings.board_id,
            lifetime=settings.action_token_seconds,
            issuer=settings.issuer,
        )
        feeds = await stack.enter_async_context(
            Feeds(
                lambda period: Feed(
                    BoardReader(score_client, usernames, settings.board_id, period), clock=clock
                )
            )
        )
        connections = _make_connections(metrics, settings, departed)
        for listener in (usernames.forget, feeds.remove_names, connections.end_all_of):
            departed.listen(listener)
        suspicion_log = SuspicionLog(store.suspicions, clock)
        await stack.enter_async_context(suspicion_log.running())
        freed_names = FreedNames.of(settings, clock)
        gauges.follow_process(metrics)
        gauges.follow_certificates(score_client, metrics)
        gauges.follow_use(store, passwords, settings, metrics)
        gauges.follow_feeds(feeds, metrics)
        gauges.follow_issuers(tokens.register, metrics)
        checks = checks_of(store, dependencies.counters, score_client, feeds)
        _start_cleanup(stack, store, clock, settings)
        _start(stack, departed.follow(store.departures), "departures")
        settlement = Settlement(store, score_client, DeletionRules.of(settings), board_id=settings.board_id)
        _start(stack, settlement.run(), "settlement")
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
            sessions=Sessions(
                store=store,
                passwords=passwords,
                limits=limits,
                access_tokens=tokens.access,
                freed_names=freed_names,
                clock=clock,
                lifetime=settings.refresh_token_seconds,
                grace=settings.refresh_grace_seconds,
            ),
            accounts=Accounts(
                store=store,
                passwords=passwords,
                limits=limits,
                freed_names=freed_names,
                departed=departed,
                awards=score_client,
                rules=DeletionRules.of(settings),
                board_id=settings.board_id,
                clock=clock,
            ),
            actions=Actions(
                store=store,
                editions=editions,
                openings=openings,
                payments=payments,
                limits=limits,
                action_tokens=tokens.action,
                clock=clock,
                attempts=settings.attempts_per_token,
            ),
            instants=Instants(
                store=store,
                editions=editions,
                openings=openings,
                payments=payments,
                limits=limits,
                tickets=tokens.score,
                allowance=Allowance(tokens.register, limits, rejections, store.get_usernames),
            ),
            score_tickets=AnyTickets(tokens.score, OutsideTickets(tokens.register, rejections, clock)),
            connections=connections,
            suspicion_log=suspicion_log,
            suspicions=Suspicions(
                metrics.registry,
                note_user=suspicion_log.note,
                surges=Surges(floor=settings.surge_points_per_minute),
            ),
            moderators=Moderators(store.roles, limits),
            moderation=Moderation(score_client, store, usernames, settings.board_id),
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


def _make_connections(metrics: Metrics, settings: ServeSettings, departed: Departed) -> Connections:
    return Connections(
        ConnectionMetrics(metrics.registry),
        limit=settings.max_sockets,
        limit_per_user=settings.max_sockets_per_user,
        departed=departed,
    )


def _start_cleanup(stack: AsyncExitStack, store: Store, clock: Clock, settings: ServeSettings) -> None:
    lifetime = timedelta(seconds=settings.refresh_token_seconds)
    _start(stack, run_cleanup(store, clock, refresh_lifetime=lifetime), "cleanup")


def _start(stack: AsyncExitStack, work: Coroutine[object, object, None], name: str) -> None:
    """Do some work beside everything else, until the parts are closed."""
    stack.callback(asyncio.create_task(work, name=name).cancel)
