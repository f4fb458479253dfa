"""What stands around every handler: the impostors stay out, errors tell what they may, streams end."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from structlog.testing import capture_logs
from tests.fixtures.certificates import BACKEND_ID, GATEWAY_ID
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.score_service import (
    Connect,
    Rejection,
    ScoreService,
    StartScoreService,
    Stubs,
    award_request,
    credentials_of,
    read_rejection,
    rejected,
)

from local_stack.certificates import CertificateAuthority, CertificateFiles
from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_service.domain.ledger.position import Position
from score_service.domain.standings.standing import Source, Standing
from score_service.domain.standings.watch import Snapshot, WatchMessage
from score_service.errors import AwardNotFoundError
from score_service.metrics import add_call_fields

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
Call = Callable[[grpc.aio.Channel], Awaitable[object]]


def unary(channel: grpc.aio.Channel) -> Awaitable[object]:
    return Stubs.on(channel).score.AwardPoints(award_request(), timeout=20)


async def stream(channel: grpc.aio.Channel) -> object:
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=10)
    return await anext(aiter(Stubs.on(channel).leaderboard.WatchLeaderboard(request, timeout=20)))


def health_stub(channel: Any) -> Any:
    return health_pb2_grpc.HealthStub(channel)


def reflection_stub(channel: Any) -> Any:
    return reflection_pb2_grpc.ServerReflectionStub(channel)


async def check_health(channel: grpc.aio.Channel) -> object:
    return await health_stub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)


async def watch_health(channel: grpc.aio.Channel) -> object:
    return await anext(aiter(health_stub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=20)))


async def open_reflection(channel: grpc.aio.Channel) -> object:
    """Send nothing: grpc.aio may report a message that came too late, and no rejection (grpc/grpc#36066)."""
    return await reflection_stub(channel).ServerReflectionInfo(timeout=20).read()


async def reflect(channel: grpc.aio.Channel) -> Any:
    call = reflection_stub(channel).ServerReflectionInfo(timeout=20)
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    answer = await call.read()
    call.cancel()
    return answer


async def unheard_of(channel: Any) -> object:
    return await channel.unary_unary("/score_api.v1.ScoreService/Unheard")(b"", timeout=20)


async def end_of(stream: AsyncIterator[object]) -> Rejection:
    """Read a stream to its end, which must be an error."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in stream:
            pass
    return read_rejection(caught.value)


CALLS: tuple[Call, ...] = (unary, stream, check_health, watch_health, open_reflection, unheard_of)
Reject = Callable[[CertificateFiles], Awaitable[set[tuple[StatusCode, str]]]]


@pytest.fixture
def reject(score_service: ScoreService, connect: Connect) -> Reject:
    """Return a function that makes every kind of call with a certificate, and tells the rejections."""

    async def reject_all(certificate: CertificateFiles) -> set[tuple[StatusCode, str]]:
        channel = connect(score_service, certificate).channel
        told = [await rejected(call(channel)) for call in CALLS]
        return {(one.code, one.reason) for one in told}

    return reject_all


NO_HANDSHAKE = {(StatusCode.UNAVAILABLE, "")}
NO_IDENTITY = {(StatusCode.UNAUTHENTICATED, "IDENTITY_MISSING")}
DENIED = {(StatusCode.PERMISSION_DENIED, "NOT_ALLOWED")}


async def test_plaintext_is_rejected(score_service: ScoreService) -> None:
    async with grpc.aio.insecure_channel(score_service.target) as channel:
        for call in CALLS:
            assert (await rejected(call(channel))).code is StatusCode.UNAVAILABLE


async def test_a_client_without_certificate_is_rejected(
    score_service: ScoreService, authority: CertificateAuthority
) -> None:
    credentials = grpc.ssl_channel_credentials(authority.ca_file.read_bytes())
    async with grpc.aio.secure_channel(score_service.target, credentials) as channel:
        for call in CALLS:
            assert (await rejected(call(channel))).code is StatusCode.UNAVAILABLE


async def test_a_certificate_of_another_authority_is_rejected(
    authority: CertificateAuthority, foreign_authority: CertificateAuthority, reject: Reject
) -> None:
    foreign = foreign_authority.issue("impostor", uris=[GATEWAY_ID])
    assert await reject(replace(foreign, ca_file=authority.ca_file)) == NO_HANDSHAKE


@pytest.mark.parametrize("days", [-2, 1])
async def test_a_certificate_that_does_not_hold_now_is_rejected(
    authority: CertificateAuthority, reject: Reject, days: int
) -> None:
    start = datetime.now(UTC) + timedelta(days=days)
    late = authority.issue("late", uris=[GATEWAY_ID], not_before=start, valid_for=timedelta(days=1))
    assert await reject(late) == NO_HANDSHAKE


async def test_a_certificate_without_exactly_one_identity_is_not_authenticated(
    authority: CertificateAuthority, reject: Reject
) -> None:
    foreign_uri = "https://laurel.local/action-gateway"
    for uris in (
        [],
        [GATEWAY_ID, BACKEND_ID],
        [GATEWAY_ID, GATEWAY_ID],
        [GATEWAY_ID, foreign_uri],
        [foreign_uri],
        [f"{GATEWAY_ID}/"],
        [f"{GATEWAY_ID}?x"],
    ):
        assert await reject(authority.issue("nobody", dns=["action-gateway"], uris=uris)) == NO_IDENTITY


YEAR = 365 * 86_400.0


async def test_a_caller_whose_certificate_has_expired_is_rejected_on_the_connection_that_it_has(
    score_service: ScoreService, backend_stubs: Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await unary(backend_stubs.channel)
    monkeypatch.setattr(score_service.running.dispatcher, "_now", lambda: time.time() + YEAR)
    told = [await rejected(call(backend_stubs.channel)) for call in CALLS]
    assert {(one.code, one.reason) for one in told} == {(StatusCode.UNAUTHENTICATED, "CERTIFICATE_EXPIRED")}


async def test_an_open_stream_ends_when_the_certificate_of_its_caller_has_expired(
    start_score_service: StartScoreService,
    connect: Connect,
    backend_certificate: CertificateFiles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("score_service.process.server._EXPIRY_SECONDS", 0.05)
    service = await start_score_service()
    watch: Any = health_stub(connect(service, backend_certificate).channel).Watch(
        health_pb2.HealthCheckRequest()
    )
    await anext(aiter(watch))
    monkeypatch.setattr(service.running.dispatcher.streams, "_now", lambda: time.time() + YEAR)
    error = await end_of(watch)
    assert (error.code, error.reason) == (StatusCode.UNAUTHENTICATED, "CERTIFICATE_EXPIRED")


async def test_a_certificate_that_ends_while_it_is_in_use_ends_the_calls_and_the_open_streams_of_its_caller(
    start_score_service: StartScoreService,
    connect: Connect,
    authority: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("score_service.process.server._EXPIRY_SECONDS", 0.05)
    service = await start_score_service()
    start, life = datetime.now(UTC) - timedelta(hours=1), timedelta(hours=1, seconds=6)
    stubs = connect(service, authority.issue("ending", uris=[BACKEND_ID], not_before=start, valid_for=life))
    await unary(stubs.channel)
    request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=10)
    watch = aiter(stubs.leaderboard.WatchLeaderboard(request, timeout=40))
    await anext(watch)

    error = await end_of(watch)
    assert (error.code, error.reason) == (StatusCode.UNAUTHENTICATED, "CERTIFICATE_EXPIRED")
    assert datetime.now(UTC) >= start.replace(microsecond=0) + life
    told = [await rejected(call(stubs.channel)) for call in CALLS]
    assert {(one.code, one.reason) for one in told} == {(StatusCode.UNAUTHENTICATED, "CERTIFICATE_EXPIRED")}


async def test_a_stream_on_a_connection_of_age_ends_alike_for_its_caller_and_in_the_metrics(
    start_score_service: StartScoreService, connect: Connect, backend_certificate: CertificateFiles
) -> None:
    service = await start_score_service(connection_age_seconds=0.2, connection_grace_seconds=0.1)
    await expect_end_by_age(service, connect(service, backend_certificate).channel)


async def test_the_age_of_a_connection_counts_from_its_first_call_of_any_kind(
    score_service: ScoreService, backend_stubs: Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = asyncio.get_running_loop().time
    with monkeypatch.context() as yesterday:
        yesterday.setattr(score_service.running.dispatcher.connections, "_clock", lambda: clock() - 86_400.0)
        await unary(backend_stubs.channel)
    await expect_end_by_age(score_service, backend_stubs.channel)


async def expect_end_by_age(service: ScoreService, channel: grpc.aio.Channel) -> None:
    error = await end_of(health_stub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=20))
    assert (error.code, error.reason, error.retry_after) == (
        StatusCode.UNAVAILABLE,
        "CONNECTION_AGED",
        0,
    )
    labels = {
        "grpc_type": "server_stream",
        "grpc_service": "grpc.health.v1.Health",
        "grpc_method": "Watch",
    }

    async def is_counted() -> bool:
        return await service.metric("grpc_server_handled_total", grpc_code="Unavailable", **labels) == 1

    await eventually(is_counted)
    assert await service.metric("grpc_server_handled_total", grpc_code="Canceled", **labels) == 0


async def test_an_unknown_identity_is_denied_whatever_it_asks(
    stranger_certificate: CertificateFiles, reject: Reject
) -> None:
    assert await reject(stranger_certificate) == DENIED


async def test_a_known_identity_on_a_method_that_is_not_its_own_gets_the_same_answer_as_an_unknown_one(
    score_service: ScoreService,
    connect: Connect,
    reader_certificate: CertificateFiles,
    stranger_certificate: CertificateFiles,
) -> None:
    for call in (unary, stream):
        known = await rejected(call(connect(score_service, reader_certificate).channel))
        unknown = await rejected(call(connect(score_service, stranger_certificate).channel))
        assert known == unknown
        assert {(known.code, known.reason)} == DENIED


@pytest.mark.parametrize("call", [check_health, watch_health])
async def test_health_is_open_to_every_named_identity(
    score_service: ScoreService, connect: Connect, reader_certificate: CertificateFiles, call: Call
) -> None:
    answer: Any = await call(connect(score_service, reader_certificate).channel)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_is_open_to_every_named_identity(
    score_service: ScoreService, connect: Connect, reader_certificate: CertificateFiles
) -> None:
    answer = await reflect(connect(score_service, reader_certificate).channel)
    assert {service.name for service in answer.list_services_response.service} == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "score_api.v1.BoardService",
        "score_api.v1.CorrectionService",
        "score_api.v1.LeaderboardService",
        "score_api.v1.LedgerService",
        "score_api.v1.ScoreService",
    }


async def test_reflection_can_be_switched_off(
    start_score_service: StartScoreService, connect: Connect, reader_certificate: CertificateFiles
) -> None:
    service = await start_score_service(reflection=False)
    error = await rejected(open_reflection(connect(service, reader_certificate).channel))
    assert error.code is StatusCode.UNIMPLEMENTED


async def test_a_method_that_does_not_exist_is_reported_to_named_identities(
    score_service: ScoreService, backend_stubs: Stubs
) -> None:
    assert (await rejected(unheard_of(backend_stubs.channel))).code is StatusCode.UNIMPLEMENTED
    labels = {"grpc_type": "bidi_stream", "grpc_service": "unknown", "grpc_method": "unknown"}

    async def is_counted() -> bool:
        metric = score_service.metric
        return await metric("grpc_server_handled_total", grpc_code="Unimplemented", **labels) == 1

    await eventually(is_counted)


async def test_bytes_that_are_no_message_are_an_invalid_argument(backend_stubs: Stubs) -> None:
    channel: Any = backend_stubs.channel
    award = channel.unary_unary("/score_api.v1.ScoreService/AwardPoints")
    error = await rejected(award(b"\xff\xff\xff", timeout=20))
    assert (error.code, error.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert set(error.fields) == {"request"}


async def test_bytes_that_are_no_message_are_an_invalid_argument_in_a_stream_too(
    backend_stubs: Stubs,
) -> None:
    channel: Any = backend_stubs.channel
    watch = channel.unary_stream("/score_api.v1.LeaderboardService/WatchLeaderboard")
    error = await rejected(anext(aiter(watch(b"\xff\xff\xff", timeout=20))))
    assert (error.code, error.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    ask = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")(timeout=20)
    await ask.write(b"\xff\xff\xff")
    error = await rejected(ask.read())
    assert error.code is StatusCode.INVALID_ARGUMENT


async def test_a_message_past_the_size_limit_is_rejected(backend_stubs: Stubs) -> None:
    request = award_request(user_id="x" * 3_000_000)
    assert (await rejected(backend_stubs.score.AwardPoints(request))).code is StatusCode.RESOURCE_EXHAUSTED


async def test_an_unknown_failure_leaves_as_one_fixed_text_and_is_logged_whole(
    score_service: ScoreService, backend_stubs: Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("SELECT hunter2")

    monkeypatch.setattr(score_service.running.parts.scoring, "award", fail)
    with capture_logs() as logs:  # The failure is logged before it is answered.
        error = await rejected(unary(backend_stubs.channel))
    assert (error.code, error.reason) == (StatusCode.INTERNAL, "INTERNAL")
    assert error.message == "The service has failed. It has been logged."
    (failure,) = [entry for entry in logs if entry["event"] == "call_failed"]
    assert "hunter2" in str(failure["exc_info"])


async def test_an_unknown_failure_of_a_stream_leaves_as_one_fixed_text(
    score_service: ScoreService, backend_stubs: Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> AsyncIterator[WatchMessage]:
        raise RuntimeError("SELECT hunter2")
        yield

    monkeypatch.setattr(score_service.running.parts.hubs, "watch", fail)
    error = await rejected(stream(backend_stubs.channel))
    assert (error.code, error.reason) == (StatusCode.INTERNAL, "INTERNAL")
    assert "hunter2" not in error.message


async def test_one_log_line_a_call_has_caller_and_method_and_no_contents(
    score_service: ScoreService, backend_stubs: Stubs
) -> None:
    metadata = (("x-request-id", "r-1"), ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"))
    with capture_logs(processors=[add_call_fields]) as logs:
        await backend_stubs.score.AwardPoints(award_request(user_id="ada-lovelace"), metadata=metadata)
        await rejected(backend_stubs.score.AwardPoints(award_request(points=1_001), metadata=metadata))

        async def both_are_told() -> bool:
            return len([entry for entry in logs if entry["event"] == "call"]) == 2

        await eventually(both_are_told)
    made, denied = [entry for entry in logs if entry["event"] == "call"]
    assert made.pop("duration_ms") >= 0
    assert made == {
        "event": "call",
        "log_level": "info",
        "grpc.method": "score_api.v1.ScoreService/AwardPoints",
        "grpc.code": "OK",
        "reason": "",
        "caller": BACKEND_ID,
        "request_id": "r-1",
        "trace_id": TRACE,
    }
    assert (denied["grpc.code"], denied["reason"]) == ("PERMISSION_DENIED", "NOT_ALLOWED")
    assert "lovelace" not in str(logs)


async def test_caller_and_trace_reach_the_ledger(backend_stubs: Stubs, database: Database) -> None:
    metadata = (("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"),)
    await backend_stubs.score.AwardPoints(award_request(), metadata=metadata)
    async with await psycopg.AsyncConnection.connect(database.admin_dsn) as connection:
        cursor = await connection.execute("SELECT caller, trace_id FROM score.award")
        assert await cursor.fetchone() == (BACKEND_ID, TRACE)


async def test_calls_are_counted_by_method_and_code(
    score_service: ScoreService, backend_stubs: Stubs
) -> None:
    labels = {
        "grpc_type": "unary",
        "grpc_service": "score_api.v1.ScoreService",
        "grpc_method": "AwardPoints",
    }
    metric = score_service.metric
    assert await metric("grpc_server_handled_total", grpc_code="OK", **labels) == 0
    await backend_stubs.score.AwardPoints(award_request())
    await rejected(backend_stubs.score.AwardPoints(award_request(points=0)))

    async def both_are_counted() -> bool:
        return await metric("grpc_server_handling_seconds_count", **labels) == 2

    await eventually(both_are_counted)
    assert await metric("grpc_server_started_total", **labels) == 2
    assert await metric("grpc_server_handled_total", grpc_code="OK", **labels) == 1
    assert await metric("grpc_server_handled_total", grpc_code="InvalidArgument", **labels) == 1
    assert await metric("grpc_server_msg_received_total", **labels) == 2
    assert await metric("grpc_server_msg_sent_total", **labels) == 1
    assert await metric("laurel_rejected_total", reason="INVALID_FIELD") == 1


async def test_messages_of_a_stream_are_counted(score_service: ScoreService, backend_stubs: Stubs) -> None:
    await unary(backend_stubs.channel)
    await stream(backend_stubs.channel)
    labels = {
        "grpc_type": "server_stream",
        "grpc_service": "score_api.v1.LeaderboardService",
        "grpc_method": "WatchLeaderboard",
    }
    assert await score_service.metric("grpc_server_msg_sent_total", **labels) >= 1
    assert await score_service.metric("grpc_server_msg_received_total", **labels) == 1


async def test_a_caller_that_gives_up_does_not_undo_its_award(
    score_service: ScoreService, backend_stubs: Stubs, database: Database
) -> None:
    await unary(backend_stubs.channel)
    request = award_request()
    async with await psycopg.AsyncConnection.connect(database.admin_dsn) as holder:
        await holder.execute("SELECT FROM score.board WHERE board_id = 'main' FOR UPDATE")
        error = await rejected(backend_stubs.score.AwardPoints(request, timeout=0.3))
        assert error.code is StatusCode.DEADLINE_EXCEEDED

    async def is_made() -> bool:
        try:
            await score_service.ledger.get_award("main", request.award.award_id)
        except AwardNotFoundError:
            return False
        return True

    await eventually(is_made)
    labels = {
        "grpc_type": "unary",
        "grpc_service": "score_api.v1.ScoreService",
        "grpc_method": "AwardPoints",
    }

    async def is_counted() -> bool:
        codes = [
            await score_service.metric("grpc_server_handled_total", grpc_code=code, **labels)
            for code in ("DeadlineExceeded", "Canceled")
        ]
        return sum(codes) == 1

    await eventually(is_counted)


@pytest.mark.parametrize("method", ["WatchLeaderboard", "Health"])
async def test_streams_are_ended_with_a_clear_status(
    score_service: ScoreService, backend_stubs: Stubs, method: str
) -> None:
    await unary(backend_stubs.channel)
    watch: Any = (
        health_stub(backend_stubs.channel).Watch(health_pb2.HealthCheckRequest())
        if method == "Health"
        else backend_stubs.leaderboard.WatchLeaderboard(
            leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=10)
        )
    )
    messages = aiter(watch)
    await anext(messages)
    score_service.running.dispatcher.streams.end_all()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in messages:
            pass
    error = read_rejection(caught.value)
    assert (error.code, error.reason) == (StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
    assert error.retry_after == 0
    assert dict(caught.value.trailing_metadata())["grpc-retry-pushback-ms"] == "1"
    error = await rejected(stream(backend_stubs.channel))
    assert (error.code, error.reason) == (StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
    await unary(backend_stubs.channel)


@dataclass(slots=True)
class Flood:
    """Large messages, more than a connection takes in before somebody reads them."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self, *_: object) -> AsyncIterator[WatchMessage]:
        top = tuple(Standing(f"user-{n}" + "x" * 100, 1, n, 1) for n in range(1000))
        message = WatchMessage(Snapshot(top, reset=False), Position.start("main"), Source.CACHE)
        try:
            while True:
                self.begun.set()
                yield message
        finally:
            self.closed.set()


@asynccontextmanager
async def flooded(
    service: ScoreService, certificate: CertificateFiles, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Flood, AsyncIterator[object]]]:
    """Watch a flood; what comes is read only as far as the block does."""
    flood = Flood()
    monkeypatch.setattr(service.running.parts.hubs, "watch", flood.watch)
    options = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 16_384)]
    async with grpc.aio.secure_channel(service.target, credentials_of(certificate), options) as channel:
        request = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=10)
        watch = Stubs.on(channel).leaderboard.WatchLeaderboard(request)
        async with asyncio.timeout(30):
            yield flood, aiter(watch)


@pytest.mark.parametrize("taken", [0, 1])
async def test_a_stream_whose_reader_has_stalled_is_ended(
    start_score_service: StartScoreService,
    backend_certificate: CertificateFiles,
    monkeypatch: pytest.MonkeyPatch,
    taken: int,
) -> None:
    service = await start_score_service(stall_seconds=0.2)
    async with flooded(service, backend_certificate, monkeypatch) as (flood, messages):
        for _ in range(taken):
            await anext(messages)
        await flood.closed.wait()
        error = await end_of(messages)
    assert (error.code, error.reason) == (StatusCode.RESOURCE_EXHAUSTED, "WATCHER_EVICTED")
    assert await service.metric("laurel_watchers_evicted_total") == 1


async def test_a_stream_is_ended_with_a_clear_status_while_its_first_message_is_on_its_way(
    score_service: ScoreService, backend_certificate: CertificateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with flooded(score_service, backend_certificate, monkeypatch) as (flood, messages):
        await flood.begun.wait()
        score_service.running.dispatcher.streams.end_all()
        await flood.closed.wait()
        error = await end_of(messages)
    assert (error.code, error.reason) == (StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
