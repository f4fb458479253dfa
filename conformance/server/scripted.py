"""A real gRPC server over mutual TLS that answers as a script says, wrongly if need be."""

import asyncio
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_status import rpc_status

from local_stack.certificates import CertificateFiles
from score_api.v1 import board_service_pb2
from score_api.v1 import correction_service_pb2 as corrections
from score_api.v1 import leaderboard_service_pb2 as boards
from score_api.v1 import ledger_service_pb2 as ledger
from score_api.v1 import score_service_pb2 as scores

HEALTH_NAME = "score_api.v1.ScoreService"

Context = grpc.aio.ServicerContext[Any, Any]
Step = Callable[[Any, Context], Awaitable[Message | bytes]]
StreamStep = Callable[[Any, Context], AsyncIterator[Message | bytes]]

_REQUESTS: Mapping[str, Mapping[str, type[Message]]] = {
    "score_api.v1.ScoreService": {
        "AwardPoints": scores.AwardPointsRequest,
        "BatchAwardPoints": scores.BatchAwardPointsRequest,
        "GetAward": scores.GetAwardRequest,
    },
    "score_api.v1.LeaderboardService": {
        "GetStanding": boards.GetStandingRequest,
        "BatchGetStandings": boards.BatchGetStandingsRequest,
        "ListStandings": boards.ListStandingsRequest,
        "ListStandingsAround": boards.ListStandingsAroundRequest,
        "WatchLeaderboard": boards.WatchLeaderboardRequest,
    },
    "score_api.v1.BoardService": {
        "GetBoard": board_service_pb2.GetBoardRequest,
        "ListBoards": board_service_pb2.ListBoardsRequest,
        "GetPeriod": board_service_pb2.GetPeriodRequest,
        "ListPeriods": board_service_pb2.ListPeriodsRequest,
    },
    "score_api.v1.CorrectionService": {
        "ReverseAward": corrections.ReverseAwardRequest,
        "ReverseAwards": corrections.ReverseAwardsRequest,
        "SetUserVisibility": corrections.SetUserVisibilityRequest,
    },
    "score_api.v1.LedgerService": {
        "ListAwards": ledger.ListAwardsRequest,
        "StreamEntries": ledger.StreamEntriesRequest,
    },
}
_STREAMS = {"WatchLeaderboard", "StreamEntries"}
_PUSHBACK = "grpc-retry-pushback-ms"
_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)


@dataclass
class Received:
    """One call as the server saw it.

    Attributes:
        method: Its name, without that of the service.
        request: The message.
        metadata: What came with it.
        identity: The SPIFFE URI of the caller's certificate.
        peer: The address of the caller.
        seconds_left: Until its deadline; None without one.
        began_at: In the time of the loop.
        ended_at: The same, once the answer was given or the caller has left.
    """

    method: str
    request: Any
    metadata: dict[str, str | bytes]
    identity: str
    peer: str
    seconds_left: float | None
    began_at: float
    ended_at: float | None = None


@dataclass(frozen=True)
class _Status(grpc.Status):
    """A status with a trailer of its own."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, str | bytes], ...]


class ScriptedServer:
    """A server on a free port of 127.0.0.1, healthy from the start.

    Each call of a method takes the next step of its script, and the last step serves all calls after it.
    """

    def __init__(self, certificate: CertificateFiles) -> None:
        self.received: list[Received] = []
        self.port = 0
        self.certificate = certificate
        """What it shows from its next start on, and whom it trusts."""
        self._scripts: dict[str, list[Any]] = defaultdict(list)
        self._health = health.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._news = asyncio.Event()

    @property
    def target(self) -> str:
        """Its name for a client."""
        return f"dns:///localhost:{self.port}"

    def script(self, method: str, *steps: Step | StreamStep) -> None:
        """Set the answers to the next calls of a method."""
        self._scripts[method] = list(steps)

    def calls(self, method: str) -> list[Received]:
        """Return the calls of a method so far."""
        return [call for call in self.received if call.method == method]

    async def wait_for_calls(self, method: str, count: int) -> list[Received]:
        """Return the calls of a method once there are that many."""
        async with asyncio.timeout(20):
            await self.wait_until(lambda: len(self.calls(method)) >= count)
        return self.calls(method)

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of the calls."""
        while not holds():
            self._news.clear()
            await self._news.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, *options: tuple[str, int], host: str = "127.0.0.1") -> None:
        """Listen, on the port of the last time if there was one."""
        self._server = grpc.aio.server(options=(*_OPTIONS, *options))
        for service, methods in _REQUESTS.items():
            handlers = {name: self._handler(name, request) for name, request in methods.items()}
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self.port = self._server.add_secure_port(f"{host}:{self.port}", _credentials(self.certificate))
        starting = asyncio.create_task(self._server.start())
        try:
            await asyncio.shield(starting)
        finally:
            await starting  # What is interrupted within its start cannot be stopped.
        await self.set_healthy(healthy=True)

    async def set_healthy(self, *, healthy: bool) -> None:
        """Report this server as healthy or not to clients that watch its health."""
        status = health_pb2.HealthCheckResponse
        await self._health.set(HEALTH_NAME, status.SERVING if healthy else status.NOT_SERVING)

    async def stop(self) -> None:
        """Stop at once: calls and connections break."""
        if self._server:
            await self._server.stop(grace=None)

    def _handler(self, name: str, request_type: type[Message]) -> "grpc.RpcMethodHandler[Any, Any]":
        async def answer(request: Message, context: Context) -> Message | bytes:
            step: Step
            with self._receive(name, request, context) as step:
                return await step(request, context)

        async def stream(request: Message, context: Context) -> AsyncIterator[Message | bytes]:
            step: StreamStep
            with self._receive(name, request, context) as step:
                async for message in step(request, context):
                    yield message

        if name in _STREAMS:
            return grpc.unary_stream_rpc_method_handler(stream, request_type.FromString, _serialize)
        return grpc.unary_unary_rpc_method_handler(answer, request_type.FromString, _serialize)

    @contextmanager
    def _receive(self, name: str, request: Message, context: Context) -> Iterator[Any]:
        metadata = dict(context.invocation_metadata() or ())
        [identity] = context.auth_context()["peer_spiffe_id"]
        left, clock = context.time_remaining(), asyncio.get_running_loop().time
        call = Received(name, request, metadata, identity.decode(), context.peer(), left, clock())
        self.received.append(call)
        self._news.set()
        script = self._scripts[name]
        try:
            yield script.pop(0) if len(script) > 1 else script[0]
        finally:
            call.ended_at = clock()
            self._news.set()


def answer(message: Message | bytes) -> Step:
    """Answer with this message, or with these bytes in the place of one."""

    async def step(_request: Message, _context: Context) -> Message | bytes:
        return message

    return step


async def hang(_request: Message, _context: Context) -> Message:
    """Never answer."""
    return await asyncio.Event().wait()  # type: ignore[return-value]


def reject(code: grpc.StatusCode, reason: str = "", **details: Any) -> Step:
    """End the call with the status that `make_status` makes."""

    async def step(_request: Message, context: Context) -> Message:
        await context.abort_with_status(make_status(code, reason, **details))
        raise AssertionError

    return step


def play(*messages: Message | bytes, then: Step | None = hang) -> StreamStep:
    """Send these messages, and then do this; None ends the stream in peace."""

    async def step(request: Message, context: Context) -> AsyncIterator[Message | bytes]:
        for message in messages:
            yield message
        if then:
            await then(request, context)

    return step


def make_status(
    code: grpc.StatusCode,
    reason: str = "",
    *,
    domain: str = "laurel",
    retry_after: float | None = None,
    fields: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    more: Sequence[Message] = (),
) -> grpc.Status:
    """Make a status with details as the contract wants them, and with the trailer beside `RetryInfo`."""
    details: list[Message] = [*more]
    if reason:
        details.append(ErrorInfo(reason=reason, domain=domain, metadata=metadata))
    if retry_after is not None:
        details.append(RetryInfo(retry_delay=_duration(retry_after)))
    if fields:
        violations = [
            BadRequest.FieldViolation(field=name, description=text) for name, text in fields.items()
        ]
        details.append(BadRequest(field_violations=violations))
    packed = [Packed() for _ in details]
    for box, detail in zip(packed, details, strict=True):
        box.Pack(detail)
    made = rpc_status.to_status(Status(code=code.value[0], message="As scripted.", details=packed))
    if retry_after is None:
        return made
    pushback = (_PUSHBACK, str(max(1, math.ceil(retry_after * 1000))))
    return _Status(made.code, made.details, (*made.trailing_metadata, pushback))


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration


def _serialize(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


def _credentials(files: CertificateFiles) -> grpc.ServerCredentials:
    pair = (files.key_file.read_bytes(), files.certificate_file.read_bytes())
    return grpc.ssl_server_credentials([pair], files.ca_file.read_bytes(), require_client_auth=True)
