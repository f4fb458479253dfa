"""Redis and PostgreSQL by TLS with passwords, on the system's servers; and what is said where that fails."""

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from limits.errors import StorageError
from tests.fixtures.ledgers.awarding import Awarding
from tests.fixtures.logs import LogLines
from tests.fixtures.servers.postgres import Login
from tests.fixtures.servers.secure_stores import SecurePostgres, SecureRedis
from tests.fixtures.servers.stores import eventually, is_projected
from tests.fixtures.services.gateway import ACTIONS, StartGateway
from tests.fixtures.services.score_service import StartScoreService
from tests.fixtures.services.stack import Stack

import service_runtime.redis.access
from action_gateway.actions.catalog import replace_actions
from action_gateway.limits.redis_storage import open_counters
from local_stack.certificates import CertificateAuthority, CertificateFiles
from score_client import Source
from score_service.errors import ProjectionUnavailableError
from score_service.metrics import add_call_fields
from score_service.operations.boards import rebuild, verify
from score_service.projection.redis_servers import ServersSettings
from score_service.projection.redis_topology import open_servers

Ask = Callable[[], Awaitable[object]]
PACKAGES = {"score_service": "score_owner", "action_gateway": "gateway_owner"}


def run_migrate(package: str, login: Login) -> subprocess.CompletedProcess[str]:
    prefix = package.upper()
    settings = {
        f"{prefix}_MIGRATION_DSN": login.url,
        f"{prefix}_MIGRATION_PASSWORD_FILE": str(login.password_file),
    }
    command = [sys.executable, "-m", package, "migrate"]
    return subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)


async def test_both_services_need_no_more_of_redis_than_the_access_list_says(
    start_score_service: StartScoreService,
    start_gateway: StartGateway,
    stack: Stack,
    secure_redis: SecureRedis,
) -> None:
    service = await start_score_service(
        redis_url=secure_redis.url("score-service"), **secure_redis.files("score-service")
    )
    gateway = await start_gateway(
        score_target=service.target,
        redis_url=secure_redis.url("action-gateway"),
        starts_per_minute=3,
        **secure_redis.files("action-gateway"),
    )
    player = await gateway.player()
    for _ in range(2):
        assert (await player.complete(await player.start())).status_code == 200
    # Enough for two windows, in case that one ends meanwhile.
    limited = [await player.post("/actions/start", {"actionId": "quick"}) for _ in range(7)]
    async with stack.client(service.target) as client:
        async with Awarding.on(client, ["season-1"]) as awarding:
            await awarding.ranked("season-1")
            events = client.watch(board_id="season-1", top_n=5)
            await anext(events)
            await awarding.more("season-1")
            event = await anext(events)
            await events.aclose()
        await awarding.assert_counted_once()
        await client.list_standings_around(board_id="season-1", user_id="user1", radius=1)
    await eventually(lambda: is_projected(service.ledger, service.projection, "season-1"))

    assert await rebuild(service.settings, ["season-1"])
    assert await verify(service.settings, [])
    assert limited[0].status_code == 200
    assert limited[-1].status_code == 429
    assert event.source is Source.CACHE
    assert secure_redis.ask("ACL", "LOG") == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("authority", "CERTIFICATE_VERIFY_FAILED"),
        ("host", "mismatch"),
        ("password", "username-password"),
        ("user", "username-password"),
    ],
)
async def test_redis_that_rejects_or_is_not_trusted_is_reported_with_the_reason(
    start_score_service: StartScoreService,
    start_gateway: StartGateway,
    secure_redis: SecureRedis,
    foreign_authority: CertificateAuthority,
    log_lines: LogLines,
    wrong: str,
    said: str,
) -> None:
    lines = log_lines(add_call_fields)
    changes: dict[str, Any] = {"redis_url": secure_redis.url("score-service")}
    password_file = secure_redis.password_files["admin" if wrong == "password" else "score-service"]
    match wrong:
        case "authority":
            changes["redis_ca_file"] = foreign_authority.ca_file
        case "host":
            changes["redis_url"] = secure_redis.url("score-service", "127.0.0.1")
        case "user":
            changes["redis_url"] = secure_redis.url("nobody")
    changes = secure_redis.files("score-service") | changes
    changes["redis_password_file"] = password_file
    service = await start_score_service(**changes)
    gateway = await start_gateway(ready=False, score_target=service.target, **changes)

    async def is_told() -> bool:
        seen = [line for line in lines() if said in str(line.get("error", ""))]
        return {"projection_unavailable", "check_failed"} <= {line["event"] for line in seen}

    await eventually(is_told)
    assert service.running.readiness.missing == {"projection": "is unavailable"}
    assert "redis" in gateway.running.parts.readiness.missing
    assert not await gateway.is_ready()


@pytest.fixture
async def door(server_certificate: CertificateFiles) -> AsyncIterator[tuple[int, list[None]]]:
    """Return the port of a server that offers TLS and nothing else, and the connections it accepted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_certificate.certificate_file, server_certificate.key_file)
    connected: list[None] = []

    def let_in(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(None)
        writer.close()

    server = await asyncio.start_server(let_in, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], connected


@asynccontextmanager
async def asking_as_gateway(access: service_runtime.redis.access.RedisAccess) -> AsyncIterator[Ask]:
    async with open_counters(access, "gateway:", 1.0) as counters:
        yield counters.check


@asynccontextmanager
async def asking_as_score_service(access: service_runtime.redis.access.RedisAccess) -> AsyncIterator[Ask]:
    async with open_servers(ServersSettings(access, 1.0, 1, 1)) as servers:
        clock = asyncio.get_running_loop().time
        yield lambda: servers.ask("main", lambda client: client.ping(), clock() + 1.0)


@pytest.mark.parametrize("form", ["rediss://{}", "rediss+sentinel://{}/ranks", "rediss+cluster://{}"])
@pytest.mark.parametrize(
    ("package", "asking"),
    [
        (service_runtime.redis.access, asking_as_gateway),
        (service_runtime.redis.access, asking_as_score_service),
    ],
)
async def test_files_are_reread_for_every_form_of_redis(
    door: tuple[int, list[None]],
    server_certificate: CertificateFiles,
    foreign_authority: CertificateAuthority,
    tmp_path: Path,
    form: str,
    package: Any,
    asking: Callable[[Any], AbstractAsyncContextManager[Ask]],
) -> None:
    port, connected = door
    trusted = tmp_path / "ca.pem"
    shutil.copy(foreign_authority.ca_file, trusted)
    url = package.RedisUrl.parse(form.format(f"localhost:{port}"))
    async with asking(package.RedisAccess(url, ca_file=trusted)) as ask:

        async def is_accepted() -> bool:
            with pytest.raises((StorageError, ProjectionUnavailableError)):
                await ask()
            return bool(connected)

        assert not await is_accepted()
        shutil.copy(server_certificate.ca_file, trusted)
        await eventually(is_accepted)


async def test_both_services_reach_postgresql_by_tls_whose_certificate_they_check(
    start_score_service: StartScoreService,
    start_gateway: StartGateway,
    stack: Stack,
    secure_postgres: SecurePostgres,
    authority: CertificateAuthority,
) -> None:
    def login(role: str) -> Login:
        return secure_postgres.login(role, authority.ca_file)

    for package, role in PACKAGES.items():
        done = run_migrate(package, login(role))
        assert done.returncode == 0, done.stdout + done.stderr
    owner = login("gateway_owner")
    replace_actions(owner.url, owner.password_file.read_text(encoding="ascii"), ACTIONS)
    service = await start_score_service(
        database_dsn=login("score_runtime").url,
        database_password_file=login("score_runtime").password_file,
    )
    gateway = await start_gateway(
        score_target=service.target,
        database_dsn=login("gateway_runtime").url,
        database_password_file=login("gateway_runtime").password_file,
    )
    async with stack.client(service.target) as client, Awarding.on(client, ["season-1"]) as awarding:
        await awarding.ranked("season-1")
    with psycopg.connect(secure_postgres.admin_url) as connection:
        found = connection.execute(
            "SELECT usename, bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
            "WHERE usename LIKE '%_runtime' GROUP BY usename ORDER BY usename"
        ).fetchall()

    assert found == [("gateway_runtime", True), ("score_runtime", True)]
    assert await gateway.is_ready()


@pytest.mark.parametrize("wrong", ["authority", "host", "password"])
async def test_postgresql_that_rejects_or_is_not_trusted_is_reported_with_the_reason(
    start_score_service: StartScoreService,
    secure_postgres: SecurePostgres,
    authority: CertificateAuthority,
    foreign_authority: CertificateAuthority,
    log_lines: LogLines,
    tmp_path: Path,
    wrong: str,
) -> None:
    lines = log_lines(add_call_fields)
    ca_file = (foreign_authority if wrong == "authority" else authority).ca_file
    host = "127.0.0.1" if wrong == "host" else "localhost"
    said = {
        "authority": "certificate verify failed",
        "host": "does not match host name",
        "password": "password authentication failed",
    }[wrong]

    def login(role: str) -> Login:
        right = secure_postgres.login(role, ca_file, host)
        return Login(right.url, tmp_path / "password") if wrong == "password" else right

    (tmp_path / "password").write_text("a wrong password", encoding="ascii")
    service = await start_score_service(
        ready=False,
        database_dsn=login("score_runtime").url,
        database_password_file=login("score_runtime").password_file,
    )

    async def is_told() -> bool:
        return any(said in str(line) for line in lines())

    await eventually(is_told)
    assert not await service.is_ready()
    for package, owner in PACKAGES.items():
        done = run_migrate(package, login(owner))
        assert done.returncode == 1
        assert said in done.stdout + done.stderr
