"""The connection to the service, and its replacement when the certificate files change.

gRPC cannot renew the certificate of a channel. So a new channel is made beside the old one and takes
over once it is connected, while calls on the old one finish within a grace. Files that cannot be used, or
do not connect, never take over. One channel carries all calls and spreads them over every healthy server
behind the name.
"""

import asyncio
import json
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

from score_api.v1.leaderboard_service_pb2_grpc import LeaderboardServiceStub
from score_api.v1.score_service_pb2_grpc import ScoreServiceStub
from score_client.credentials import ClientCredentials, Fingerprint
from score_client.errors import ClientClosedError, ScoreClientError

# How long a new channel may take to connect before it is given up until the next look at the files.
CONNECT_TIMEOUT = 5.0
# How long calls on a replaced channel may take. Longer than the service's checkpoints are apart, so that a
# watch moves over between two messages.
RETIREMENT_GRACE = 30.0

SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": "score_api.v1.ScoreService"},
}

OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The health stream is idle for long; without this, pings stop after two of them.
    ("grpc.http2.max_pings_without_data", 0),
    # A server that comes back is found within a second or two, also under a new address.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    # A watcher that does not read makes the service hold back instead of filling this process.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 16_384),
    ("grpc.max_send_message_length", 1 << 20),
    ("grpc.max_receive_message_length", 4 << 20),
)

if TYPE_CHECKING:  # These two exist for type checkers only.
    from score_api.v1.leaderboard_service_pb2_grpc import LeaderboardServiceAsyncStub
    from score_api.v1.score_service_pb2_grpc import ScoreServiceAsyncStub

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Connection:
    """One gRPC channel, made from one state of the certificate files."""

    channel: grpc.aio.Channel
    scores: "ScoreServiceAsyncStub"
    boards: "LeaderboardServiceAsyncStub"
    fingerprint: Fingerprint


class RenewedChannel:
    """The current connection to one target, kept in step with the certificate files."""

    def __init__(
        self, target: str, credentials: ClientCredentials, *, server_name: str | None, check_interval: float
    ) -> None:
        self._target = target
        self._credentials = credentials
        self._options = (
            OPTIONS if server_name is None else (*OPTIONS, ("grpc.default_authority", server_name))
        )
        self._check_interval = check_interval
        self._current: Connection | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_fault = ""

    @property
    def current(self) -> Connection:
        """The connection to make the next call on.

        Raises:
            ClientClosedError: The channel is not open.
        """
        if self._current is None:
            raise ClientClosedError("CLIENT_CLOSED", "The client is used outside of its 'async with' block.")
        return self._current

    async def open(self) -> None:
        """Make the first channel. It connects in the background.

        Raises:
            CredentialsError: The certificate files cannot be used.
        """
        self._current = await self._connect()
        self._start(self._follow_files())

    async def close(self) -> None:
        """Close every channel. Calls under way end at once."""
        current, self._current = self._current, None
        for task in self._tasks:
            task.cancel()
        if current:
            await current.channel.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self) -> Connection:
        fingerprint, credentials = await asyncio.to_thread(self._credentials.load)
        channel = grpc.aio.secure_channel(self._target, credentials, options=self._options)
        return Connection(channel, ScoreServiceStub(channel), LeaderboardServiceStub(channel), fingerprint)

    async def _follow_files(self) -> None:
        while True:
            await asyncio.sleep(self._check_interval)
            try:
                await self._renew()
            except (ScoreClientError, TimeoutError) as error:
                self._report(f"The old certificate stays in use: {error}")
            else:
                self._last_fault = ""

    async def _renew(self) -> None:
        fingerprint = await asyncio.to_thread(self._credentials.fingerprint)
        if fingerprint == self.current.fingerprint:
            return
        connection = await self._connect()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await connection.channel.channel_ready()
        except BaseException:
            await connection.channel.close()
            raise
        self._start(_retire(self.current))
        self._current = connection
        _logger.info("The new certificate is in use.")

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _report(self, fault: str) -> None:
        if fault != self._last_fault:
            _logger.warning("%s", fault)
        self._last_fault = fault


async def _retire(connection: Connection) -> None:
    try:
        await connection.channel.close(RETIREMENT_GRACE)
    finally:
        await connection.channel.close()
