"""The gRPC server: its limits, its services and its port."""

from dataclasses import dataclass
from typing import Any, Final, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from score_api.v1.board_service_pb2_grpc import add_BoardServiceServicer_to_server
from score_api.v1.correction_service_pb2_grpc import add_CorrectionServiceServicer_to_server
from score_api.v1.leaderboard_service_pb2_grpc import add_LeaderboardServiceServicer_to_server
from score_api.v1.ledger_service_pb2_grpc import add_LedgerServiceServicer_to_server
from score_api.v1.score_service_pb2_grpc import add_ScoreServiceServicer_to_server
from score_service.access.policy import SERVICES
from score_service.grpc_api.board_service.servicer import BoardServicer
from score_service.grpc_api.correction_service.servicer import CorrectionServicer
from score_service.grpc_api.dispatcher import Dispatcher
from score_service.grpc_api.health import Health
from score_service.grpc_api.leaderboard_service.servicer import LeaderboardServicer
from score_service.grpc_api.ledger_service.servicer import LedgerServicer
from score_service.grpc_api.score_service.servicer import ScoreServicer
from score_service.settings import ServeSettings
from service_runtime.errors import SetupError
from service_runtime.settings import Address

_CALLS_MAX: Final = 10_000
QUEUES: Final = {
    "score_api.v1.ScoreService": ("AwardPoints", "BatchAwardPoints"),
    "grpc.health.v1.Health": ("Check", "Watch"),
}
"""Methods whose calls wait in a queue of their own inside of gRPC, until we take them; all others share one.

gRPC goes through all of its queues for each call, which takes a microsecond for each.
"""
_PENDING: Final = 1_000
"""Calls in one of these queues, about a fifth of a second of rejections."""
_AGE_JITTER: Final = 0.1
"""How much earlier or later than at its age gRPC says goodbye to a connection (gRFC A9)."""
_FENCE_SECONDS: Final = 10.0


def make_server(dispatcher: Dispatcher, settings: ServeSettings) -> grpc.aio.Server:
    """Make a server that is not bound, and answers what the dispatcher has when it starts."""
    server = grpc.aio.server(
        handlers=[dispatcher],
        maximum_concurrent_rpcs=_CALLS_MAX,
        options=[
            # Two processes on one port would share connections unevenly and hide a wrong set-up.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", 2 * 1024 * 1024),
            ("grpc.max_send_message_length", 4 * 1024 * 1024),
            ("grpc.max_concurrent_streams", 1000),
            # Calls that come faster than they can even be rejected wait inside of gRPC, where we do not see
            # them. From the first bound on some are reset there, from the second on all: CANCELLED.
            ("grpc.server.max_pending_requests", _PENDING),
            ("grpc.server.max_pending_requests_hard_limit", _PENDING * 3 // 2),
            # Callers look names up again, and show their newest certificate, only on a new connection.
            ("grpc.max_connection_age_ms", int(settings.connection_age_seconds * 1000)),
            # Our own end of streams comes first: see `OpenStreams`.
            ("grpc.max_connection_age_grace_ms", int(_connection_fence(settings) * 1000)),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            # Clients may ask every 20 s whether we are there; more often closes the connection.
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 15_000),
        ],
    )
    for service, methods in QUEUES.items():
        # Registered without a handler, so that gRPC asks the dispatcher for one at each call.
        server.add_registered_method_handlers(service, cast(dict[str, Any], dict.fromkeys(methods)))
    return server


def longest_connection(settings: ServeSettings) -> float:
    """Return the age at which the streams of a connection are ended, which is after its GOAWAY."""
    return settings.connection_age_seconds * (1 + _AGE_JITTER) + settings.connection_grace_seconds


def _connection_fence(settings: ServeSettings) -> float:
    """Return the grace after which gRPC closes a connection whose streams should have ended before."""
    jitter = 2 * _AGE_JITTER * settings.connection_age_seconds
    return jitter + settings.connection_grace_seconds + _FENCE_SECONDS


def bind(server: grpc.aio.Server, address: Address, credentials: grpc.ServerCredentials) -> Address:
    """Bind a server to an address, and return the one that it has got.

    Raises:
        SetupError: it cannot be bound.
    """
    try:
        return Address(address.host, server.add_secure_port(str(address), credentials))
    except RuntimeError:
        # gRPC logs the cause by itself, and its error does not have it.
        raise SetupError([f"cannot listen on {address}"]) from None


@dataclass(frozen=True, slots=True)
class Services:
    """What answers the methods of our contract, and those of gRPC for health."""

    scores: ScoreServicer
    leaderboards: LeaderboardServicer
    boards: BoardServicer
    corrections: CorrectionServicer
    ledger: LedgerServicer
    health: Health


def add_services(dispatcher: Dispatcher, services: Services) -> None:
    """Have a dispatcher answer the methods of our contract, and those of gRPC for health."""
    # Generated code is typed for servers, and calls two methods of them that the dispatcher has too.
    server = cast(grpc.aio.Server, dispatcher)
    add_ScoreServiceServicer_to_server(services.scores, server)
    add_LeaderboardServiceServicer_to_server(services.leaderboards, server)
    add_BoardServiceServicer_to_server(services.boards, server)
    add_CorrectionServiceServicer_to_server(services.corrections, server)
    add_LedgerServiceServicer_to_server(services.ledger, server)
    health_pb2_grpc.add_HealthServicer_to_server(services.health.servicer, server)


def add_reflection(dispatcher: Dispatcher) -> None:
    """Have a dispatcher describe the services."""
    names = (*SERVICES, *_names(health_pb2), *_names(reflection_pb2))
    # What `enable_server_reflection` does with a server.
    servicer = reflection.aio.ReflectionServicer(service_names=names)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, dispatcher)  # type: ignore[no-untyped-call]


def _names(module: Any) -> list[str]:
    return [service.full_name for service in module.DESCRIPTOR.services_by_name.values()]
