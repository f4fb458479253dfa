"""The gateway as a process: how it starts, serves and stops."""

import asyncio
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from tests.fixtures.clients.realtime import close_code
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.gateway import add_signing_key
from tests.fixtures.services.processes import Processes, RunningService
from tests.fixtures.services.score_service import ScoreService
from websockets.asyncio.client import connect

from action_gateway.process.server import raise_file_limit

PREFIX = "ACTION_GATEWAY_"


@pytest.fixture
def environment(gateway_settings: dict[str, Any], free_port: Callable[[], int]) -> dict[str, str]:
    """Return the settings as variables; the score service is not there."""
    settings = gateway_settings | {"score_target": f"dns:///localhost:{free_port()}", "log_format": "json"}
    return {PREFIX + name.removeprefix(PREFIX).upper(): str(value) for name, value in settings.items()}


def start(processes: Processes, environment: dict[str, str]) -> RunningService:
    return processes.start("action_gateway", "serve", env=environment)


async def wait_for_end(service: RunningService) -> int:
    return await asyncio.to_thread(service.child.process.wait, 30)


def fail(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Start a gateway that cannot be started."""
    return subprocess.run(
        [sys.executable, "-m", "action_gateway", "serve"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_it_serves_on_both_ports_and_ends_on_a_signal(
    processes: Processes, environment: dict[str, str], score_service: ScoreService
) -> None:
    service = start(processes, environment | {f"{PREFIX}SCORE_TARGET": score_service.target})
    async with httpx.AsyncClient(timeout=60) as client:

        async def is_ready() -> bool:
            response = await client.get(f"http://{service.addresses['admin']}/readyz")
            return response.status_code == 200

        await eventually(is_ready)
        assert (await client.get(f"http://{service.addresses['http']}/")).status_code == 200
    service.child.process.send_signal(signal.SIGTERM)

    assert await wait_for_end(service) == 0
    log = service.log()
    for event in ("listening", "readiness_changed", "stopping", "stopped"):
        assert f'"event":"{event}"' in log
    assert "Traceback" not in log


async def test_it_starts_without_dependencies_and_reports_what_is_missing(
    processes: Processes, environment: dict[str, str], free_port: Callable[[], int]
) -> None:
    nowhere = {
        f"{PREFIX}DATABASE_DSN": f"postgresql://nobody@127.0.0.1:{free_port()}/nothing",
        f"{PREFIX}REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
    }
    service = start(processes, environment | nowhere)

    async def missing_is_logged() -> bool:
        return all(part in service.log() for part in ('"database"', '"redis"', '"score_service"'))

    await eventually(missing_is_logged)
    service.child.process.send_signal(signal.SIGINT)
    assert await wait_for_end(service) == 0


async def test_while_it_drains_it_answers_and_is_not_ready(
    processes: Processes, environment: dict[str, str]
) -> None:
    service = start(processes, environment | {f"{PREFIX}DRAIN_SECONDS": "30"})
    service.child.process.send_signal(signal.SIGTERM)
    async with httpx.AsyncClient(base_url=f"http://{service.addresses['http']}") as client:

        async def is_stopping() -> bool:
            missing = (await client.get("/readyz")).json()["missing"]
            return bool(missing == {"process": "is stopping"})

        await eventually(is_stopping)
        assert (await client.get("/livez")).status_code == 200
    service.child.process.send_signal(signal.SIGTERM)

    # The second signal does not wait for the 30 seconds.
    assert await wait_for_end(service) == 0


async def test_while_it_drains_every_answer_is_the_last_on_its_connection(
    processes: Processes, environment: dict[str, str]
) -> None:
    service = start(processes, environment | {f"{PREFIX}DRAIN_SECONDS": "30"})
    reader, writer = await connect_to(service)
    before = await ask(reader, writer)
    await begin_to_drain(service)
    after = await ask(reader, writer)

    assert b"connection: close" not in before.lower()
    assert b"connection: close" in after.lower()
    assert await reader.read() == b""
    writer.close()
    service.child.process.send_signal(signal.SIGTERM)
    assert await wait_for_end(service) == 0


async def test_while_it_drains_new_sockets_are_rejected_and_open_ones_stay(
    processes: Processes, environment: dict[str, str]
) -> None:
    times = {f"{PREFIX}DRAIN_SECONDS": "60", f"{PREFIX}SOCKET_AUTH_SECONDS": "60"}
    service = start(processes, environment | times)
    url = f"ws://{service.addresses['http']}/api/v1/leaderboard/ws"
    async with connect(url, proxy=None) as early:
        await begin_to_drain(service)
        async with connect(url, proxy=None) as late:
            assert await close_code(late) == 1012
        assert early.close_code is None
        service.child.process.send_signal(signal.SIGTERM)  # Which ends the drain.
        assert await close_code(early) == 1012
    assert await wait_for_end(service) == 0


async def test_an_idle_connection_does_not_delay_the_stop(
    processes: Processes, environment: dict[str, str]
) -> None:
    service = start(processes, environment | {f"{PREFIX}STOP_SECONDS": "3600"})
    reader, writer = await connect_to(service)
    await ask(reader, writer)
    await begin_to_drain(service)

    assert await reader.read() == b""
    writer.close()
    assert await wait_for_end(service) == 0


async def connect_to(service: RunningService) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = service.addresses["http"].rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Ask whether it is alive, and return the headers of the answer."""
    writer.write(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
    headers = await reader.readuntil(b"\r\n\r\n")
    await reader.readuntil(b"}")
    return headers


async def begin_to_drain(service: RunningService) -> None:
    service.child.process.send_signal(signal.SIGTERM)

    async def has_begun() -> bool:
        return '"is stopping"' in service.log()

    await eventually(has_begun)


LOGOUT = b'{"refreshToken": "x"}'


async def begin_a_request(service: RunningService) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send the start of a logout."""
    headers = (
        "POST /api/v1/auth/logout HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(LOGOUT)}\r\n\r\n"
    )
    reader, writer = await connect_to(service)
    writer.write(headers.encode() + LOGOUT[:5])
    await writer.drain()
    # Once another connection was answered, the gateway has read the start of this one's headers.
    async with httpx.AsyncClient(timeout=60) as client:
        await client.get(f"http://{service.addresses['http']}/livez")
    return reader, writer


async def test_requests_under_way_are_finished(processes: Processes, environment: dict[str, str]) -> None:
    service = start(processes, environment)
    reader, writer = await begin_a_request(service)
    await begin_to_drain(service)
    writer.write(LOGOUT[5:])
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 204 ")
    assert await wait_for_end(service) == 0


async def test_a_request_that_takes_longer_than_the_stop_is_answered_as_unavailable(
    processes: Processes, environment: dict[str, str]
) -> None:
    service = start(processes, environment | {f"{PREFIX}STOP_SECONDS": "1"})
    reader, writer = await begin_a_request(service)
    service.child.process.send_signal(signal.SIGTERM)
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b'"code":"unavailable"' in answer
    assert b"retry-after: " in answer.lower()
    assert await wait_for_end(service) == 0
    assert "Traceback" not in service.log()


def test_a_gateway_raises_its_limit_of_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    try:
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_keys_of_both_kinds_must_differ(environment: dict[str, str], tmp_path: Path) -> None:
    result = fail(environment | {f"{PREFIX}ACTION_KEYS_DIR": environment[f"{PREFIX}ACCESS_KEYS_DIR"]})

    assert result.returncode == 2
    assert "must not share a key" in result.stderr


def test_a_folder_without_a_key_is_a_setup_error(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = fail(environment | {f"{PREFIX}ACTION_KEYS_DIR": str(tmp_path / "empty")})

    assert result.returncode == 2
    assert "holds no *.pem file" in result.stderr


def test_an_unusable_certificate_is_a_setup_error(environment: dict[str, str]) -> None:
    result = fail(environment | {f"{PREFIX}SCORE_KEY_FILE": environment[f"{PREFIX}SCORE_CA_FILE"]})

    assert result.returncode == 2
    assert "certificate for the score service cannot be used" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_in_use_is_a_setup_error(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = fail(environment | {f"{PREFIX}LISTEN": address})

    assert result.returncode == 2
    assert "cannot listen" in result.stderr


async def test_a_key_added_to_a_running_gateway_signs(
    processes: Processes, environment: dict[str, str]
) -> None:
    service = start(processes, environment)
    folder = Path(environment[f"{PREFIX}ACCESS_KEYS_DIR"])
    await asyncio.to_thread(add_signing_key, folder, "2")
    async with httpx.AsyncClient(base_url=f"http://{service.addresses['http']}") as client:

        async def are_two() -> bool:
            return len((await client.get("/.well-known/jwks.json")).json()["keys"]) == 2

        await eventually(are_two)
