"""Certificates that are replaced under load, and then their authority: no call fails, no watch ends.

Everybody has a volume of their own, as pods have, and each volume changes at another moment.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import httpx2 as httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.fixtures.certificates import BACKEND_ID, GATEWAY_ID, SERVICE_ID
from tests.fixtures.clients.browser import edge, join
from tests.fixtures.secret_volume import SecretVolume
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.load import StackUnderLoad, under_load
from tests.fixtures.services.processes import RunningService
from tests.fixtures.services.stack import Stack, target_of_all

from conformance.server.scripted import ScriptedServer
from local_stack.certificates import CertificateAuthority, CertificateFiles
from score_client import ClientCredentials, ScoreClient, UnavailableError

PATIENCE = 30.0
"""Seconds for one call: a machine that is busy with other tests is slow, and no test of time."""
CONNECTION_AGE = 2.0
"""Seconds: connections are made anew all the time, with whatever is trusted then."""
Names: TypeAlias = dict[str, Any]
"""What a certificate names, by kind."""
OPTIONS: dict[str, Any] = {"server_name": "localhost", "certificate_check_interval": 0.1}
SERVER: Names = {"dns": ["localhost"], "ips": ["127.0.0.1"], "uris": [SERVICE_ID]}
GATEWAY: Names = {"uris": [GATEWAY_ID]}
BACKEND: Names = {"uris": [BACKEND_ID]}


@dataclass(frozen=True, slots=True)
class Holder:
    """A process with a certificate in a volume."""

    volume: SecretVolume
    names: Names
    count_taken: Callable[[], int]
    """Return how often it has taken new files."""

    def issue(self, authority: CertificateAuthority) -> CertificateFiles:
        return authority.issue(self.volume.files.ca_file.parent.name, **self.names)

    async def take(self, files: CertificateFiles, trusted: list[CertificateAuthority]) -> None:
        """Change what is mounted, and wait until it is in use."""
        before = self.count_taken()
        self.volume.put(files, trusted)

        async def is_taken() -> bool:
            return self.count_taken() > before

        await eventually(is_taken)


@dataclass(frozen=True, slots=True)
class Rotation:
    """A stack under load, and what is to be replaced in it."""

    services: list[RunningService]
    gateway: RunningService
    servers: list[Holder]
    clients: list[Holder]
    backend: ClientCredentials
    load: StackUnderLoad

    async def reissue(
        self, holders: list[Holder], issuer: CertificateAuthority, *trusted: CertificateAuthority
    ) -> None:
        """Give holders a new certificate, one after the other, and more calls between any two."""
        for holder in holders:
            await holder.take(holder.issue(issuer), list(trusted))
            await self.load.pass_some_load()

    async def trust(self, *trusted: CertificateAuthority) -> None:
        """Change whom everybody trusts, and nothing else."""
        for holder in (*self.servers, *self.clients):
            await holder.take(holder.volume.files, list(trusted))
            await self.load.pass_some_load()


class Takings(logging.Handler):
    """Counts how often the client in this process has taken new files."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.getMessage() == "The new certificate is in use."


@pytest.fixture
def takings() -> Iterator[Takings]:
    takings, logger = Takings(), logging.getLogger("score_client.transport.channel")
    level = logger.level
    logger.addHandler(takings)
    logger.setLevel(logging.INFO)
    yield takings
    logger.removeHandler(takings)
    logger.setLevel(level)


@pytest.fixture
def old(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority.open(tmp_path / "old", now=datetime.now(UTC) - timedelta(days=1))


@pytest.fixture
def new(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority.open(tmp_path / "new")


@pytest.fixture
async def rotation(
    stack: Stack, database: Database, old: CertificateAuthority, takings: Takings, tmp_path: Path
) -> AsyncIterator[Rotation]:
    def mount(name: str, names: Names) -> SecretVolume:
        return SecretVolume(tmp_path / name, old.issue(name, **names))

    async with AsyncExitStack() as opened:
        volumes = [mount(f"server-{number}", SERVER) for number in range(2)]
        services = [await start_service(stack, volume.files) for volume in volumes]
        servers = [
            Holder(volume, SERVER, counting(service, '"certificates_loaded"'))
            for volume, service in zip(volumes, services, strict=True)
        ]
        target = target_of_all(*services)
        gateway_volume, backend_volume = mount("gateway", GATEWAY), mount("backend", BACKEND)
        gateway = await start_gateway(stack, target, gateway_volume.files)
        backend = credentials_of(backend_volume.files)
        clients = [
            Holder(gateway_volume, GATEWAY, counting(gateway, '"The new certificate is in use."')),
            Holder(backend_volume, BACKEND, lambda: takings.count),
        ]
        client = ScoreClient(target, credentials=backend, timeout=PATIENCE, **OPTIONS)
        await opened.enter_async_context(client)
        http = await opened.enter_async_context(edge(gateway.addresses["http"]))
        load = under_load(client, database, [await join(http, "player")])
        loaded = await opened.enter_async_context(load)
        yield Rotation(services, gateway, servers, clients, backend, loaded)


async def start_service(stack: Stack, files: CertificateFiles) -> RunningService:
    return await stack.start_score_service(
        tls_certificate_file=files.certificate_file,
        tls_key_file=files.key_file,
        tls_ca_file=files.ca_file,
        tls_reload_seconds=0.1,
        connection_age_seconds=CONNECTION_AGE,
        log_format="json",
    )


async def start_gateway(stack: Stack, target: str, files: CertificateFiles) -> RunningService:
    return await stack.start_gateway(
        target,
        score_certificate_file=files.certificate_file,
        score_key_file=files.key_file,
        score_ca_file=files.ca_file,
        score_server_name="localhost",
        score_timeout_seconds=PATIENCE,
        log_format="json",
    )


def credentials_of(files: CertificateFiles) -> ClientCredentials:
    return ClientCredentials(files.ca_file, files.certificate_file, files.key_file)


def counting(service: RunningService, event: str) -> Callable[[], int]:
    return lambda: service.log().count(event)


async def test_certificates_and_their_authority_are_replaced_without_a_failed_call(
    rotation: Rotation, old: CertificateAuthority, new: CertificateAuthority, tmp_path: Path
) -> None:
    everybody = [*rotation.servers, *rotation.clients]

    await rotation.load.pass_some_load()
    await rotation.reissue(everybody, old, old)
    await rotation.trust(old, new)
    await rotation.reissue(everybody, new, old, new)
    await rotation.trust(new)
    await rotation.load.settle()

    assert all(socket.returns == 0 for socket in rotation.load.load.sockets.values())
    await check_metrics(rotation, new)
    for service in rotation.services:
        await check_only_trusts(service, old, new, tmp_path)
    await check_client_only_trusts(rotation.backend, old, new)


async def check_metrics(rotation: Rotation, authority: CertificateAuthority) -> None:
    end = authority.certificate.not_valid_after_utc.timestamp()
    for prefix, service in (
        ("gateway", rotation.gateway),
        *(("laurel", service) for service in rotation.services),
    ):
        exported = await read_metrics(service)
        assert exported[f"{prefix}_authority_not_after_timestamp_seconds"] == end
        assert exported[f"{prefix}_certificate_faulty"] == 0


async def read_metrics(service: RunningService) -> dict[str, float]:
    async with httpx.AsyncClient(timeout=60) as http:
        text = (await http.get(f"http://{service.addresses['admin']}/metrics")).text
    families = text_string_to_metric_families(text)
    return {sample.name: sample.value for family in families for sample in family.samples}


async def check_only_trusts(
    service: RunningService, old: CertificateAuthority, new: CertificateAuthority, tmp_path: Path
) -> None:
    """Check that a service shows a certificate of the new authority, and takes none of the old one."""
    host, _, port = service.addresses["grpc"].rpartition(":")
    for authority, is_trusted in ((old, False), (new, True)):
        context = ssl.create_default_context(cafile=str(authority.ca_file))
        context.set_alpn_protocols(["h2"])
        try:
            _, writer = await asyncio.open_connection(host, int(port), ssl=context)
        except ssl.SSLCertVerificationError:
            assert not is_trusted
        else:
            writer.transport.abort()
            assert is_trusted
    both = tmp_path / "both.pem"
    both.write_bytes(old.ca_file.read_bytes() + new.ca_file.read_bytes())
    issued = old.issue("late", **BACKEND)
    late = ClientCredentials(both, issued.certificate_file, issued.key_file)
    async with ScoreClient(target_of_all(service), credentials=late, timeout=1, **OPTIONS) as client:
        with pytest.raises(UnavailableError):
            await client.ping()


async def check_client_only_trusts(
    credentials: ClientCredentials, old: CertificateAuthority, new: CertificateAuthority
) -> None:
    """Check that a client with the newest files rejects a server of the old authority."""
    server = ScriptedServer(replace(old.issue("impostor", **SERVER), ca_file=new.ca_file))
    await server.start()
    async with ScoreClient(server.target, credentials=credentials, timeout=1) as client:
        with pytest.raises(UnavailableError):
            await client.get_standing(board_id="main", user_id="ada")
    assert server.received == []
    await server.stop()
