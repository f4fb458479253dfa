"""The gRPC channels to one target, made from one reading of the certificate files.

Calls are distributed over every healthy server behind the target. While none is healthy they go to any: it
may still answer, or report what is wrong. To a caller that the policy does not name, a server does not even
report its health, so without this such a caller would only learn that no server is available.
"""

import asyncio
import json
from typing import TYPE_CHECKING

import grpc

from score_api.v1.board_service_pb2_grpc import BoardServiceStub
from score_api.v1.correction_service_pb2_grpc import CorrectionServiceStub
from score_api.v1.leaderboard_service_pb2_grpc import LeaderboardServiceStub
from score_api.v1.ledger_service_pb2_grpc import LedgerServiceStub
from score_api.v1.score_service_pb2_grpc import ScoreServiceStub
from score_client.errors import UnavailableError
from score_client.transport.credentials import LoadedCredentials

if TYPE_CHECKING:  # These exist for type checkers only.
    from score_api.v1.board_service_pb2_grpc import BoardServiceAsyncStub
    from score_api.v1.correction_service_pb2_grpc import CorrectionServiceAsyncStub
    from score_api.v1.leaderboard_service_pb2_grpc import LeaderboardServiceAsyncStub
    from score_api.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub
    from score_api.v1.score_service_pb2_grpc import ScoreServiceAsyncStub

HEALTH_NAME = "score_api.v1.ScoreService"
ROUND_ROBIN: list[dict[str, dict[str, str]]] = [{"round_robin": {}}]
HEALTHY_SERVERS = {
    "loadBalancingConfig": ROUND_ROBIN,
    "healthCheckConfig": {"serviceName": HEALTH_NAME},
}
ANY_SERVER = {"loadBalancingConfig": ROUND_ROBIN}
# A HealthCheckRequest with its field `service`, and a HealthCheckResponse with its field `status`: SERVING.
HEALTH_REQUEST = b"\x0a" + bytes([len(HEALTH_NAME)]) + HEALTH_NAME.encode()
HEALTHY = b"\x08\x01"

OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The health stream is idle for long; without this, pings stop after two of them.
    ("grpc.http2.max_pings_without_data", 0),
    # A server that restarts is found within a second or two, also under a new address.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    # A watcher that does not read makes the service hold back instead of filling this process.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 16_384),
    # `https_proxy` and `http_proxy` are for the way out. gRPC takes them for every target otherwise.
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_send_message_length", 1 << 20),
    ("grpc.max_receive_message_length", 4 << 20),
)


class Stubs:
    """The services, and the standard health check, on one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.scores: ScoreServiceAsyncStub = ScoreServiceStub(channel)
        self.leaderboards: LeaderboardServiceAsyncStub = LeaderboardServiceStub(channel)
        self.boards: BoardServiceAsyncStub = BoardServiceStub(channel)
        self.corrections: CorrectionServiceAsyncStub = CorrectionServiceStub(channel)
        self.ledger: LedgerServiceAsyncStub = LedgerServiceStub(channel)
        # Bytes in and out: one field each way is not worth a dependency.
        self.health: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/grpc.health.v1.Health/Check"
        )


class Connection:
    """One channel to the healthy servers and one to all, with the same credentials."""

    def __init__(self, target: str, credentials: LoadedCredentials, server_name: str | None) -> None:
        name = () if server_name is None else (("grpc.default_authority", server_name),)

        def connect(service_config: object) -> Stubs:
            config = ("grpc.service_config", json.dumps(service_config))
            options = (config, *OPTIONS, *name)
            return Stubs(grpc.aio.secure_channel(target, credentials.channel_credentials, options=options))

        self.credentials = credentials
        self._healthy = connect(HEALTHY_SERVERS)
        self._any = connect(ANY_SERVER)  # It does not connect before its first call.

    @property
    def stubs(self) -> Stubs:
        """What to make the next call with."""
        state = self._healthy.channel.get_state()
        return self._any if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE else self._healthy

    async def ready(self, *, within: float) -> None:
        """Connect.

        Raises:
            UnavailableError: No healthy server takes these credentials within so many seconds.
        """
        try:
            async with asyncio.timeout(within):
                await self._healthy.channel.channel_ready()
        except TimeoutError:
            text = f"No healthy server takes the credentials within {within} s."
            raise UnavailableError("UNAVAILABLE", text) from None

    async def close(self, grace: float | None = None) -> None:
        """Close the channels once their calls have ended, or after a grace."""
        await asyncio.gather(self._healthy.channel.close(grace), self._any.channel.close(grace))
