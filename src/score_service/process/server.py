"""Puts the service together and runs it until a signal. It decides nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import grpc

from score_service.access.policy import Policy
from score_service.access.quota import Quota
from score_service.certificates.files import CertificateFiles
from score_service.certificates.tls import Certificates
from score_service.errors import ScoreServiceError
from score_service.grpc_api.board_service.servicer import BoardServicer
from score_service.grpc_api.correction_service.servicer import CorrectionServicer
from score_service.grpc_api.denials import Denials
from score_service.grpc_api.dispatcher import Dispatcher
from score_service.grpc_api.health import Health
from score_service.grpc_api.leaderboard_service.servicer import LeaderboardServicer
from score_service.grpc_api.ledger_service.entry_streams import EntryStreams
from score_service.grpc_api.ledger_service.servicer import LedgerServicer
from score_service.grpc_api.score_service.servicer import ScoreServicer
from score_service.metrics import Metrics
from score_service.process import gauges, grpc_server
from score_service.process.checks import RECORD, checks_of
from score_service.process.drain import Drain, end_calls
from score_service.process.parts import Parts, open_parts
from score_service.settings import ServeSettings
from service_runtime.http.admin import LISTENER as ADMIN_LISTENER
from service_runtime.http.admin import create_app
from service_runtime.http.http_listener import address_of, bind
from service_runtime.http.http_listener import serve as serve_http
from service_runtime.lifecycle import StopSignals, run_until_stopped
from service_runtime.readiness import Readiness
from service_runtime.settings import Address

_CHECK_SECONDS: Final = 1.0
_EXPIRY_SECONDS: Final = 5.0
"""How often open streams are checked for certificates that have expired."""


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service that listens."""

    grpc_address: Address
    admin_address: Address
    parts: Parts
    readiness: Readiness
    dispatcher: Dispatcher
    server: grpc.aio.Server
    settings: ServeSettings

    @property
    def addresses(self) -> dict[str, str]:
        """Where it really listens."""
        return {"grpc": str(self.grpc_address), "admin": str(self.admin_address)}

    async def stop(self, forced: asyncio.Event) -> None:
        """Stop in order. Once `forced` is set, nothing is waited for any more."""
        settings = self.settings
        drain = Drain(
            self.readiness,
            self.dispatcher.streams,
            self.dispatcher.in_flight,
            self.server,
            self.parts.scoring,
            self.parts.corrector,
            self.parts.plans,
            settings.drain_seconds,
            settings.stop_seconds,
        )
        await drain.run(forced)


@asynccontextmanager
async def run_service(
    settings: ServeSettings, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AsyncIterator[RunningService]:
    """Start everything, whether or not the stores are there yet; at the end, close it.

    Args:
        settings: what is configured.
        now: the time of day, in UTC.

    Raises:
        SetupError: the policy or the certificates are faulty, or an address cannot be bound.
    """
    metrics = Metrics()
    policy = Policy.load(settings.policy_file)
    denials = Denials(policy, metrics.registry)
    dispatcher = Dispatcher(
        policy,
        metrics,
        denials,
        stall_seconds=settings.stall_seconds,
        connection_seconds=grpc_server.longest_connection(settings),
        calls_max=settings.calls_max,
    )
    activation_delay = timedelta(seconds=settings.tls_activation_seconds)
    certificates = Certificates(CertificateFiles.of(settings), activation_delay)
    server = grpc_server.make_server(dispatcher, settings)
    grpc_address = grpc_server.bind(server, settings.listen, certificates.credentials())
    async with AsyncExitStack() as stack:
        bound = stack.enter_context(bind(settings.admin_listen))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        parts = await open_parts(stack, settings, metrics, now)
        health = Health()
        readiness = await _run_readiness(stack, parts, health, metrics)
        admin = create_app(readiness, metrics.registry)
        await stack.enter_async_context(serve_http(admin, bound, ADMIN_LISTENER))
        _follow(parts, dispatcher, certificates, settings, metrics)
        services = grpc_server.Services(
            ScoreServicer(parts.scoring, Quota(), metrics.count_item_error, denials, now=now),
            LeaderboardServicer(parts.leaderboard, parts.hubs),
            BoardServicer(parts.boards, parts.editor, parts.results),
            CorrectionServicer(parts.corrector, parts.plans),
            LedgerServicer(parts.history, EntryStreams(parts.entry_feeds)),
            health,
        )
        grpc_server.add_services(dispatcher, services)
        if settings.reflection:
            grpc_server.add_reflection(dispatcher)
        await server.start()
        stack.push_async_callback(end_calls, server)
        reloading = tasks.create_task(certificates.watch(settings.tls_reload_seconds), name="certificates")
        stack.callback(reloading.cancel)
        expiring = tasks.create_task(dispatcher.streams.watch(_EXPIRY_SECONDS), name="expired_streams")
        stack.callback(expiring.cancel)
        yield RunningService(grpc_address, address_of(bound), parts, readiness, dispatcher, server, settings)


async def serve(settings: ServeSettings) -> None:
    """Run the service until SIGTERM or SIGINT; the second of them forces an immediate stop."""
    await run_until_stopped(run_service(settings), StopSignals(), settings.ready_file)


async def _run_readiness(stack: AsyncExitStack, parts: Parts, health: Health, metrics: Metrics) -> Readiness:
    """Begin to check the stores; `stack` ends it."""
    checks = checks_of(parts.ledger, parts.projection)
    readiness = Readiness(
        checks,
        metrics.ready,
        required=RECORD,
        unavailable=(ScoreServiceError,),
        publish=health.publish,
    )
    metrics.follow_parts(checks, readiness.has)
    return await stack.enter_async_context(readiness.running(_CHECK_SECONDS))


def _follow(
    parts: Parts,
    dispatcher: Dispatcher,
    certificates: Certificates,
    settings: ServeSettings,
    metrics: Metrics,
) -> None:
    gauges.follow_process(metrics)
    gauges.follow_projection(parts.projector, parts.audits, metrics)
    gauges.follow_rebuilds(parts.rebuilder, metrics)
    gauges.follow_periods(parts.closing.archiver, parts.closing.closer, parts.closing.loop, metrics)
    gauges.follow_database(parts.database, metrics)
    gauges.follow_certificates(certificates, metrics)
    gauges.follow_calls(dispatcher, settings, metrics)
    gauges.follow_work(parts.scoring, parts.hubs, settings, metrics)
    gauges.follow_feeds(parts.entry_feeds, settings, metrics)
