"""The images at work: schemas made, points awarded over mutual TLS, and a stop in order."""

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psycopg
import pytest
from tests.fixtures.clients.browser import edge, join
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.stack import variable
from tests.images.conftest import StartContainer
from tests.images.container import Container

import action_gateway.store.migrate as gateway_migrate
import score_service.record.migrate as score_migrate
from local_stack.certificates import CertificateFiles
from local_stack.services import is_ready
from score_client import ClientCredentials, NotAllowedError, ScoreClient

ACTION = """\
[[action]]
action_id = "quick"
title = "Quick"
prompt = "Yes or yes?"
answer = "yes"
points = 5
repeat = "unlimited"
min_seconds = 0
"""
WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
LOCKS = {
    "score_service": score_migrate.MIGRATION.lock_key,
    "action_gateway": gateway_migrate.MIGRATION.lock_key,
}


def _environment(package: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {variable(package, name): value for name, value in settings.items()}


def _owner(package: str, database: Database, role: str) -> dict[str, Any]:
    login = database.logins[role]
    return _environment(
        package,
        {
            "migration_dsn": login.url,
            f"{package.upper()}_MIGRATION_PASSWORD_FILE": login.password_file,
        },
    )


def _client(target: str, certificate: CertificateFiles) -> ScoreClient:
    files = (certificate.ca_file, certificate.certificate_file, certificate.key_file)
    return ScoreClient(target, credentials=ClientCredentials(*files))


def _finish(container: Container) -> None:
    assert container.wait() == 0, container.output()


async def _until_ready(container: Container) -> dict[str, str]:
    addresses = await asyncio.to_thread(container.addresses)
    await eventually(lambda: asyncio.to_thread(is_ready, addresses["admin"]))
    return addresses


def _check_restricted(container: Container) -> None:
    """It is process 1 of its own, of a user who can do nothing else and cannot become another."""
    status = container.status()
    assert status["NSpid"].endswith(" 1")
    assert status["Uid"] == status["Gid"] == "10001 10001 10001 10001"
    assert status["Groups"] == ""
    assert status["NoNewPrivs"] == "1"
    assert {status[name] for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")} == {"0" * 16}


@pytest.fixture
def migrated(start_container: StartContainer, database: Database, tmp_path: Path) -> None:
    """Have the images make the schemas, and offer an action."""
    actions = tmp_path / "actions.toml"
    actions.write_text(ACTION, encoding="utf-8")
    score = _owner("score_service", database, "score_owner")
    gateway = _owner("action_gateway", database, "gateway_owner")
    _finish(start_container("score-service", "migrate", settings=score))
    _finish(start_container("action-gateway", "migrate", settings=gateway))
    _finish(start_container("action-gateway", "load-actions", actions, settings=gateway))


async def test_images_award_points_over_mutual_tls_and_stop_in_order(
    start_container: StartContainer,
    migrated: None,
    score_service_settings: dict[str, Any],
    gateway_settings: dict[str, Any],
    backend_certificate: CertificateFiles,
    stranger_certificate: CertificateFiles,
) -> None:
    score_settings = _environment("score_service", score_service_settings | {"drain_seconds": 0})
    service = start_container("score-service", settings=score_settings)
    _, port = (await _until_ready(service))["grpc"].rsplit(":", 1)
    target = f"dns:///localhost:{port}"
    gateway_environment = _environment("action_gateway", gateway_settings | {"score_target": target})
    gateway = start_container("action-gateway", settings=gateway_environment)
    address = (await _until_ready(gateway))["http"]

    award: dict[str, Any] = {"board_id": "main", "user_id": "ada", "points": 10}
    award |= {"action_type": "test", "action_id": "one"}
    async with _client(target, backend_certificate) as backend:
        first = await backend.award(**award)
        assert (first.total, first.rank, first.revision) == (10, 1, 1)
        async with _client(target, stranger_certificate) as stranger:
            with pytest.raises(NotAllowedError):
                await stranger.award(**award)

        async with edge(address) as http:
            bob = await join(http, "bob")
            done = await bob.complete(await bob.start("quick"), "yes")
            assert (done.json()["newTotalScore"], done.json()["newRank"]) == (5, 2)
            board = (await http.get("/leaderboard", headers=bob.headers)).json()
            assert [entry["score"] for entry in board["entries"]] == [10, 5]
        async with httpx.AsyncClient(base_url=f"http://{address}") as http:
            assert "<html" in (await http.get("/")).text
        assert (await backend.get_standing(board_id="main", user_id=bob.user_id)).standing.total == 5

    for container in (gateway, service):
        _check_restricted(container)
        assert await asyncio.to_thread(container.stop) == 0
        assert {event["level"] for event in container.events()} <= {"info", "warning"}


@pytest.mark.parametrize(
    ("name", "role"), [("score-service", "score_owner"), ("action-gateway", "gateway_owner")]
)
async def test_a_migration_that_waits_for_another_ends_at_sigterm(
    start_container: StartContainer, database: Database, name: str, role: str
) -> None:
    package = name.replace("-", "_")
    settings = _owner(package, database, role)
    async with await psycopg.AsyncConnection.connect(database.admin_dsn, autocommit=True) as holder:

        async def is_waiting() -> bool:
            waiting = await holder.execute(WAITING)
            return await waiting.fetchone() is not None

        await holder.execute("SELECT pg_advisory_lock(%s)", [LOCKS[package]])
        container = start_container(name, "migrate", settings=settings)
        await eventually(is_waiting)
        assert await asyncio.to_thread(container.stop) == 128 + signal.SIGTERM, container.output()
