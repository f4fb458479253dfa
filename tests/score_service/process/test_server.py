"""The whole process: it announces itself, serves, and stops in order."""

import asyncio
import json
import os
import signal
from typing import Any

import grpc
import httpx2 as httpx
import psycopg
import pytest
from grpc import StatusCode
from redis.asyncio import Redis
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.processes import Processes
from tests.fixtures.services.score_service import (
    Connect,
    ScoreService,
    StartScoreService,
    Stubs,
    award_request,
    credentials_of,
    rejected,
)

from local_stack.certificates import CertificateFiles
from score_service.process.server import run_service
from score_service.settings import ServeSettings
from service_runtime.errors import SetupError
from service_runtime.settings import variable


@pytest.fixture
def environment(score_service_settings: dict[str, Any]) -> dict[str, str]:
    """Return the variables of a service that stops without a delay."""
    named = {
        name if name.isupper() else variable(ServeSettings, name): str(value)
        for name, value in score_service_settings.items()
    }
    return named | {"SCORE_SERVICE_DRAIN_SECONDS": "0", "SCORE_SERVICE_LOG_FORMAT": "json"}


async def award_on(address: str, certificate: CertificateFiles, wait: float = 20) -> int:
    async with grpc.aio.secure_channel(address, credentials_of(certificate)) as channel:
        response = await Stubs.on(channel).score.AwardPoints(
            award_request(), timeout=wait, wait_for_ready=True
        )
    return response.result.total


async def test_a_process_serves_and_stops_on_sigterm(
    processes: Processes, environment: dict[str, str], backend_certificate: CertificateFiles
) -> None:
    service = await asyncio.to_thread(processes.start, "score_service", "serve", env=environment)
    assert set(service.addresses) == {"grpc", "admin"}
    assert await award_on(service.addresses["grpc"], backend_certificate) == 10
    assert await asyncio.to_thread(service.stop) == 0
    events = [json.loads(line)["event"] for line in service.log().splitlines()]
    assert [event for event in events if event in {"listening", "call", "stopping", "stopped"}] == [
        "listening",
        "call",
        "stopping",
        "stopped",
    ]


async def test_sigint_stops_a_process_too(processes: Processes, environment: dict[str, str]) -> None:
    service = await asyncio.to_thread(processes.start, "score_service", "serve", env=environment)
    os.kill(service.pid, signal.SIGINT)
    assert await asyncio.to_thread(service.child.process.wait, 20) == 0


async def test_a_second_signal_cuts_the_waiting_short(
    processes: Processes, environment: dict[str, str]
) -> None:
    environment["SCORE_SERVICE_DRAIN_SECONDS"] = "600"
    service = await asyncio.to_thread(processes.start, "score_service", "serve", env=environment)
    os.kill(service.pid, signal.SIGTERM)

    async def is_stopping() -> bool:
        return "stopping" in service.log()

    await eventually(is_stopping)
    assert service.child.process.poll() is None
    os.kill(service.pid, signal.SIGTERM)
    assert await asyncio.to_thread(service.child.process.wait, 20) == 0


@pytest.fixture
async def blocked_board(database: Database, backend_stubs: Stubs) -> Any:
    """Hold the lock of a board that exists, until the connection is rolled back."""
    await backend_stubs.score.AwardPoints(award_request())
    connection = await psycopg.AsyncConnection.connect(database.admin_dsn)
    await connection.execute("SELECT FROM score.board WHERE board_id = 'main' FOR UPDATE")
    yield connection
    await connection.close()


async def is_waiting(database: Database) -> bool:
    """Return whether a statement waits for a lock."""
    async with await psycopg.AsyncConnection.connect(database.admin_dsn) as connection:
        cursor = await connection.execute(
            "SELECT FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'", [database.name]
        )
        return cursor.rowcount > 0


async def test_a_call_under_way_is_answered_before_the_stop_ends(
    start_score_service: StartScoreService,
    connect: Connect,
    backend_certificate: CertificateFiles,
    database: Database,
    blocked_board: Any,
) -> None:
    service = await start_score_service(drain_seconds=0)
    call = connect(service, backend_certificate).score.AwardPoints(award_request())
    await eventually(lambda: is_waiting(database))
    stopping = asyncio.create_task(service.running.stop(asyncio.Event()))
    await eventually(not_ready(service))
    await blocked_board.rollback()
    assert (await call).result.total == 20
    await stopping


async def test_an_award_whose_caller_has_gone_is_finished_before_the_stop_ends(
    start_score_service: StartScoreService,
    connect: Connect,
    backend_certificate: CertificateFiles,
    database: Database,
    blocked_board: Any,
) -> None:
    service = await start_score_service(drain_seconds=0)
    request = award_request()
    call = connect(service, backend_certificate).score.AwardPoints(request)
    await eventually(lambda: is_waiting(database))
    call.cancel()
    stopping = asyncio.create_task(service.running.stop(asyncio.Event()))
    await eventually(not_ready(service))
    await blocked_board.rollback()
    await stopping
    recorded = await service.ledger.get_award("main", request.award.award_id)
    assert recorded.total == 20


def not_ready(service: ScoreService) -> Any:
    async def condition() -> bool:
        return not service.running.readiness.is_ready

    return condition


async def test_while_it_drains_it_reports_so_and_still_answers(
    start_score_service: StartScoreService, connect: Connect, backend_certificate: CertificateFiles
) -> None:
    service = await start_score_service(drain_seconds=600)
    stubs = connect(service, backend_certificate)
    hurry = asyncio.Event()
    stopping = asyncio.create_task(service.running.stop(hurry))
    await eventually(not_ready(service))
    assert (await stubs.score.AwardPoints(award_request())).result.total == 10
    hurry.set()
    await stopping
    assert (await rejected(stubs.score.AwardPoints(award_request()))).code is StatusCode.UNAVAILABLE


async def test_a_faulty_policy_stops_the_start(score_service_settings: dict[str, Any]) -> None:
    score_service_settings["policy_file"].write_text("nonsense = 1", encoding="ascii")
    with pytest.raises(SetupError, match=r"policy\.toml: identity: is missing"):
        async with run_service(ServeSettings(**score_service_settings)):
            pass


async def test_faulty_certificates_stop_the_start(score_service_settings: dict[str, Any]) -> None:
    score_service_settings["tls_key_file"] = score_service_settings["policy_file"]
    with pytest.raises(SetupError, match="is not a private key in PEM"):
        async with run_service(ServeSettings(**score_service_settings)):
            pass


async def test_a_taken_port_stops_the_start(
    score_service: ScoreService, score_service_settings: dict[str, Any]
) -> None:
    score_service_settings["listen"] = str(score_service.running.grpc_address)
    with pytest.raises(SetupError, match="cannot listen on"):
        async with run_service(ServeSettings(**score_service_settings)):
            pass


async def test_a_standing_that_has_drifted_is_reported_and_repaired(
    start_score_service: StartScoreService,
    connect: Connect,
    backend_certificate: CertificateFiles,
    redis_url: str,
    redis_prefix: str,
) -> None:
    service = await start_score_service(audit_seconds=0.2)
    await connect(service, backend_certificate).score.AwardPoints(award_request(user_id="ada", points=10))
    assert await service.metric("laurel_drift_standings") == 0

    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        (totals,) = [key async for key in redis.scan_iter(f"{redis_prefix}*:totals")]
        await redis.hset(totals, "ada", "11:1")

    async def is_repaired() -> bool:
        reading = await service.projection.get_standings("main", ["ada"])
        return (
            reading is not None
            and [user.total for user in reading.users] == [10]
            and await service.metric("laurel_audit_repairs") == 1
            and await service.metric("laurel_drift_standings") == 0
            and await service.metric("laurel_audited_standings") == 1
        )

    await eventually(is_repaired)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_the_unspecified_address_of_ipv6_takes_both_families_on_both_ports(
    host: str, start_score_service: StartScoreService, server_certificate: CertificateFiles
) -> None:
    service = await start_score_service(listen="[::]:0", admin_listen="[::]:0")
    port = service.running.grpc_address.port
    options = [("grpc.ssl_target_name_override", "localhost")]
    credentials = credentials_of(server_certificate)
    async with grpc.aio.secure_channel(f"{host}:{port}", credentials, options) as channel:
        await asyncio.wait_for(channel.channel_ready(), 20)
    async with httpx.AsyncClient(trust_env=False) as client:
        livez = await client.get(f"http://{host}:{service.running.admin_address.port}/livez")
        assert livez.status_code == 200
