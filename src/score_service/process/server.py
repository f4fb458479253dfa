"""Puts the service together and runs it until a signal. It decides nothing else."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from score_api.v1 import leaderboard_service_pb2, score_service_pb2
from score_api.v1.leaderboard_service_pb2_grpc import add_LeaderboardServiceServicer_to_server
from score_api.v1.score_service_pb2_grpc import add_ScoreServiceServicer_to_server
from score_service.access.policy import SERVICES, Policy
from score_service.access.quota import Quota
from score_service.access.surges import Surges
from score_service.access.velocity import Velocity
from score_service.boards.leaderboard import Leaderboard
from score_service.boards.scoring import Scoring
from score_service.boards.shared_reads import RecordReader
from score_service.certificates.tls import CertificateFiles, Certificates
from score_service.errors import ScoreServiceError
from score_service.grpc_api.denials import Denials
from score_service.grpc_api.health import Health
from score_service.grpc_api.interceptors import CallInterceptor
from score_service.grpc_api.servicer import LeaderboardServicer, ScoreServicer
from score_service.metrics import Metrics
from score_service.process import gauges
from score_service.process.checks import RECORD, checks_of
from score_service.process.drain import Drain, end_calls
from score_service.process.stores import open_database, open_projection
from score_service.projection.projection import Projection
from score_service.reconcile.auditor import AuditLoop, Auditor
from score_service.reconcile.projector import Projector
from score_service.reconcile.rebuilder import Rebuilder
from score_service.record.database import Database
from score_service.record.ledger import Ledger
from score_service.record.standings import Standings
from score_service.settings import ServeSettings
from score_service.stream.feeds import Feeds
from score_service.stream.hub import HubSettings
from score_service.stream.hubs import Hubs
from service_runtime.admin import LISTENER as ADMIN_LISTENER
from service_runtime.admin import create_app
from service_runtime.http_listener import address_of, bind
from service_runtime.http_listener import serve as serve_http
from service_runtime.lifecycle import StopSignals, freeze_gc, write_ready_file
from service_runtime.readiness import Readiness
from service_runtime.settings import Address

_CHECK_SECONDS: Final = 1.0
_CALLS_MAX: Final = 10_000
_PENDING: Final = 1_000
"""Calls of one method that wait so, about a fifth of a second of refusals."""
_AUDIT_PAUSE_SECONDS: Final = 0.05
"""Between two pages of 500 standings, so that an audit takes a small part of either store."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stores:
    """The parts that hold what the service knows."""

    database: Database
    ledger: Ledger
    projection: Projection
    projector: Projector
    standings: Standings
    reader: RecordReader
    hubs: Hubs
    audits: AuditLoop


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service that listens."""

    grpc_address: Address
    admin_address: Address
    stores: Stores
    scoring: Scoring
    readiness: Readiness
    interceptor: CallInterceptor
    server: grpc.aio.Server
    settings: ServeSettings

    async def stop(self, forced: asyncio.Event) -> None:
        """Stop in order. Once `forced` is set, nothing is waited for any more."""
        settings = self.settings
        drain = Drain(
            self.readiness,
            self.interceptor,
            self.server,
            self.scoring,
            settings.drain_seconds,
            settings.stop_seconds,
        )
        await drain.run(forced)


@asynccontextmanager
async def run_service(settings: ServeSettings) -> AsyncIterator[RunningService]:
    """Start everything, whether or not the stores are there yet; at the end, close it.

    Raises:
        SetupError: the policy or the certificates are faulty.
        OSError: an address cannot be bound.
    """
    metrics = Metrics()
    policy = Policy.load(settings.policy_file)
    denials = Denials(policy, metrics.registry)
    interceptor = CallInterceptor(policy, metrics, denials, settings.stall_seconds, settings.calls_max)
    certificates = Certificates(CertificateFiles.of(settings))
    server = _make_server(interceptor, settings)
    grpc_address = _bind(server, settings.listen, certificates.credentials())
    async with AsyncExitStack() as stack:
        bound = stack.enter_context(bind(settings.admin_listen))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        stores = await _open_stores(stack, settings)
        checks = checks_of(stores.ledger, stores.projection)
        health = Health()
        readiness = Readiness(
            checks,
            metrics.ready,
            required=RECORD,
            unavailable=(ScoreServiceError,),
            publish=health.publish,
        )
        metrics.follow_parts(checks, readiness.has)
        await stack.enter_async_context(readiness.running(_CHECK_SECONDS))
        admin = create_app(readiness, metrics.registry)
        await stack.enter_async_context(serve_http(admin, bound, ADMIN_LISTENER))
        scoring = _make_scoring(stores, metrics, settings)
        _follow(stores, interceptor, certificates, scoring, settings, metrics)
        leaderboard = Leaderboard(stores.projection, stores.projector, stores.standings, stores.reader)
        score_servicer = ScoreServicer(scoring, Quota(), metrics.count_item_error, denials)
        add_ScoreServiceServicer_to_server(score_servicer, server)
        add_LeaderboardServiceServicer_to_server(LeaderboardServicer(leaderboard, stores.hubs), server)
        _add_open_services(server, health, with_reflection=settings.reflection)
        _announce(interceptor)
        await server.start()
        stack.push_async_callback(end_calls, server)
        reloading = tasks.create_task(certificates.watch(settings.tls_reload_seconds), name="certificates")
        stack.callback(reloading.cancel)
        yield RunningService(
            grpc_address, address_of(bound), stores, scoring, readiness, interceptor, server, settings
        )


async def serve(settings: ServeSettings) -> None:
    """Run the service until SIGTERM or SIGINT; the second of them forces an immediate stop."""
    signals = StopSignals()
    signals.install()
    async with run_service(settings) as service:
        addresses = {"grpc": str(service.grpc_address), "admin": str(service.admin_address)}
        if settings.ready_file:
            write_ready_file(settings.ready_file, addresses)
        _log.info("listening", **addresses)
        freeze_gc()
        await signals.requested.wait()
        _log.info("stopping")
        await service.stop(signals.forced)
    _log.info("stopped")


async def _open_stores(stack: AsyncExitStack, settings: ServeSettings) -> Stores:
    database = await stack.enter_async_context(open_database(settings))
    projection = await stack.enter_async_context(open_projection(settings))
    ledger = Ledger(database)
    standings, reader = Standings(database), RecordReader()
    rebuilder = Rebuilder(ledger, standings, projection)
    projector = await stack.enter_async_context(
        Projector(ledger, projection, rebuilder).running(settings.projector_seconds)
    )
    hubs = Hubs(Feeds(ledger, projection, projector, standings, reader), _hub_settings(settings))
    await stack.enter_async_context(hubs.running())
    auditor = Auditor(ledger, standings, projection, pause=_AUDIT_PAUSE_SECONDS)
    audits = AuditLoop(ledger, auditor, rebuilder, jitter=random.random)
    await stack.enter_async_context(audits.running(settings.audit_seconds))
    return Stores(database, ledger, projection, projector, standings, reader, hubs, audits)


def _hub_settings(settings: ServeSettings) -> HubSettings:
    return HubSettings(
        tick_seconds=settings.watch_tick_seconds,
        poll_seconds=settings.watch_poll_seconds,
        checkpoint_seconds=settings.watch_checkpoint_seconds,
        resume_max=settings.watch_resume_max,
        watchers_max=settings.watchers_max,
    )


def _follow(
    stores: Stores,
    interceptor: CallInterceptor,
    certificates: Certificates,
    scoring: Scoring,
    settings: ServeSettings,
    metrics: Metrics,
) -> None:
    gauges.follow_process(metrics)
    gauges.follow_projection(stores.projector, stores.audits, metrics)
    gauges.follow_database(stores.database, metrics)
    gauges.follow_certificates(certificates, metrics)
    gauges.follow_calls(interceptor, settings, metrics)
    gauges.follow_work(scoring, stores.hubs, settings, metrics)


def _make_scoring(stores: Stores, metrics: Metrics, settings: ServeSettings) -> Scoring:
    return Scoring(
        stores.ledger,
        stores.projector,
        on_outcomes=metrics.count_awards,
        on_made=_make_surges(metrics, settings).note if settings.velocity_floor else None,
        batch_max=settings.award_batch_max,
        waiting_max=settings.awards_waiting_max,
    )


def _make_surges(metrics: Metrics, settings: ServeSettings) -> Surges:
    velocity = Velocity(
        floor=settings.velocity_floor,
        multiple=settings.velocity_multiple,
        window=settings.velocity_seconds,
        users_max=settings.velocity_users_max,
    )
    return Surges(velocity, metrics.registry)


def _make_server(interceptor: CallInterceptor, settings: ServeSettings) -> grpc.aio.Server:
    return grpc.aio.server(
        interceptors=[interceptor],
        maximum_concurrent_rpcs=_CALLS_MAX,
        options=[
            # Two processes on one port would share connections unevenly and hide a wrong set-up.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", 2 * 1024 * 1024),
            ("grpc.max_send_message_length", 4 * 1024 * 1024),
            ("grpc.max_concurrent_streams", 1000),
            # Calls that come faster than they can even be refused wait inside of gRPC, where we do not see
            # them. From the first bound on some are reset there, from the second on all: CANCELLED.
            ("grpc.server.max_pending_requests", _PENDING),
            ("grpc.server.max_pending_requests_hard_limit", _PENDING * 3 // 2),
            # Callers look names up again, and show their newest certificate, only on a new connection.
            ("grpc.max_connection_age_ms", int(settings.connection_age_seconds * 1000)),
            ("grpc.max_connection_age_grace_ms", int(settings.connection_grace_seconds * 1000)),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            # Clients may ask every 20 s whether we are there; more often closes the connection.
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 15_000),
        ],
    )


def _add_open_services(server: grpc.aio.Server, health: Health, *, with_reflection: bool) -> None:
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    if with_reflection:
        names = (*SERVICES, *_names(health_pb2), *_names(reflection_pb2))
        reflection.enable_server_reflection(names, server)


def _announce(interceptor: CallInterceptor) -> None:
    for module in (score_service_pb2, leaderboard_service_pb2, health_pb2, reflection_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            interceptor.announce(service)


def _names(module: Any) -> list[str]:
    return [service.full_name for service in module.DESCRIPTOR.services_by_name.values()]


def _bind(server: grpc.aio.Server, address: Address, credentials: grpc.ServerCredentials) -> Address:
    try:
        return Address(address.host, server.add_secure_port(str(address), credentials))
    except RuntimeError:
        # gRPC logs the cause by itself and tells it nowhere else.
        raise OSError(f"cannot listen on {address}") from None
