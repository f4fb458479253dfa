"""The connection: certificates that change, servers that come and go."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tests.fixtures.certificates import BACKEND_ID, GATEWAY_ID
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.stores import eventually
from tests.score_client.renewable import RenewableCertificate

from conformance.server.scripted import ScriptedServer, answer
from local_stack.certificates import CertificateAuthority, CertificateFiles
from score_api.v1 import leaderboard_service_pb2 as boards
from score_api.v1 import types_pb2
from score_client import ClientCredentials, ScoreClient, StandingView, UnavailableError
from score_client.transport.connection import Connection

STANDING = boards.GetStandingResponse(
    standing=types_pb2.Standing(user_id="ada", total=30, rank=1, reached_revision=7), revision=9
)


@pytest.fixture
async def client(server: ScriptedServer, certificate: RenewableCertificate) -> AsyncIterator[ScoreClient]:
    server.script("GetStanding", answer(STANDING))
    async with ScoreClient(
        server.target, credentials=certificate.credentials, certificate_check_interval=0.02
    ) as client:
        yield client


def read(client: ScoreClient) -> Awaitable[StandingView]:
    return client.get_standing(board_id="main", user_id="ada")


async def identity(server: ScriptedServer, client: ScoreClient) -> str:
    await read(client)
    return server.received[-1].identity


async def wait_for_identity(server: ScriptedServer, client: ScoreClient, wanted: str) -> None:
    async def is_wanted() -> bool:
        return await identity(server, client) == wanted

    await eventually(is_wanted)


async def wait_for_log(caplog: pytest.LogCaptureFixture) -> None:
    async def is_logged() -> bool:
        return bool(caplog.records)

    await eventually(is_logged)


async def test_new_certificate_files_are_used_without_a_restart(
    server: ScriptedServer,
    client: ScoreClient,
    certificate: RenewableCertificate,
    gateway_certificate: CertificateFiles,
) -> None:
    assert await identity(server, client) == BACKEND_ID

    certificate.replace(gateway_certificate)

    await wait_for_identity(server, client, GATEWAY_ID)


async def test_no_call_fails_while_the_certificate_changes(
    server: ScriptedServer,
    client: ScoreClient,
    certificate: RenewableCertificate,
    gateway_certificate: CertificateFiles,
) -> None:
    seen: set[str] = set()

    async def call_all_the_time() -> None:
        while seen != {BACKEND_ID, GATEWAY_ID}:
            seen.add(await identity(server, client))

    async with asyncio.timeout(20), asyncio.TaskGroup() as callers:
        for _ in range(4):
            callers.create_task(call_all_the_time())
        await server.wait_for_calls("GetStanding", 10)
        certificate.replace(gateway_certificate)

    assert len(server.received) == len(server.calls("GetStanding"))


@pytest.mark.parametrize(("grace", "identities"), [(30.0, [BACKEND_ID]), (0.01, [BACKEND_ID, GATEWAY_ID])])
async def test_a_call_on_the_old_channel_is_answered_there_or_made_again(
    server: ScriptedServer,
    client: ScoreClient,
    certificate: RenewableCertificate,
    gateway_certificate: CertificateFiles,
    monkeypatch: pytest.MonkeyPatch,
    grace: float,
    identities: list[str],
) -> None:
    monkeypatch.setattr("score_client.transport.channel.RETIREMENT_GRACE", grace)
    release = asyncio.Event()

    async def answer_late(_request: object, _context: object) -> boards.ListStandingsResponse:
        await release.wait()
        return boards.ListStandingsResponse(revision=9)

    server.script("ListStandings", answer_late)
    slow = asyncio.ensure_future(client.list_standings(board_id="main"))
    await server.wait_for_calls("ListStandings", 1)

    certificate.replace(gateway_certificate)
    await wait_for_identity(server, client, GATEWAY_ID)
    await server.wait_for_calls("ListStandings", len(identities))
    release.set()

    assert (await slow).revision == 9
    assert [call.identity for call in server.calls("ListStandings")] == identities


async def test_a_half_written_pair_keeps_the_old_channel_and_is_logged_once(
    server: ScriptedServer,
    client: ScoreClient,
    certificate: RenewableCertificate,
    gateway_certificate: CertificateFiles,
    caplog: pytest.LogCaptureFixture,
) -> None:
    certificate.replace_one("tls.pem", gateway_certificate.certificate_file)
    await wait_for_log(caplog)
    await asyncio.sleep(0.1)  # Several more looks at the files.

    assert await identity(server, client) == BACKEND_ID
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "old certificate stays" in caplog.text

    certificate.replace_one("key.pem", gateway_certificate.key_file)
    await wait_for_identity(server, client, GATEWAY_ID)


async def test_the_state_of_the_files_is_reported(
    client: ScoreClient, certificate: RenewableCertificate, gateway_certificate: CertificateFiles
) -> None:
    async def is_faulty() -> bool:
        return client.certificate_status().fault is not None

    async def is_well() -> bool:
        return client.certificate_status().fault is None

    first = client.certificate_status()
    assert first.fault is None
    certificate.replace_one("tls.pem", gateway_certificate.certificate_file)
    await eventually(is_faulty)
    assert client.certificate_status().not_after == first.not_after

    certificate.replace_one("key.pem", gateway_certificate.key_file)
    await eventually(is_well)
    [renewed] = x509.load_pem_x509_certificates(gateway_certificate.certificate_file.read_bytes())
    assert client.certificate_status().not_before == renewed.not_valid_before_utc
    assert client.certificate_status().not_after == renewed.not_valid_after_utc


async def test_a_failed_check_of_the_files_is_reported_and_checking_continues(
    client: ScoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_credentials: ClientCredentials) -> None:
        raise ZeroDivisionError

    async def is_faulty() -> bool:
        return client.certificate_status().fault is not None

    async def is_well() -> bool:
        return client.certificate_status().fault is None

    with monkeypatch.context() as patch:
        patch.setattr(ClientCredentials, "fingerprint", fail)
        await eventually(is_faulty)
    await eventually(is_well)


async def test_authorities_that_change_alone_are_what_new_servers_are_checked_by(
    server: ScriptedServer,
    client: ScoreClient,
    certificate: RenewableCertificate,
    authority: CertificateAuthority,
    foreign_authority: CertificateAuthority,
    backend_certificate: CertificateFiles,
    tmp_path: Path,
) -> None:
    await read(client)
    both = tmp_path / "both.pem"
    both.write_bytes(authority.ca_file.read_bytes() + foreign_authority.ca_file.read_bytes())
    certificate.replace_one("ca.pem", both)

    async def is_connected_anew() -> bool:
        await read(client)
        return len({call.peer for call in server.received}) == 2

    await eventually(is_connected_anew)
    await server.stop()
    renewed = foreign_authority.issue("renewed-server", dns=["localhost"])
    successor = ScriptedServer(replace(renewed, ca_file=backend_certificate.ca_file))
    successor.port = server.port
    successor.script("GetStanding", answer(STANDING))
    await successor.start()

    assert (await read(client)).revision == 9
    await successor.stop()


async def read_on_three_connections(server: ScriptedServer, credentials: ClientCredentials) -> None:
    """Read until a client has replaced its connection twice by age, without a failed call."""
    server.script("GetStanding", answer(STANDING))
    async with (
        ScoreClient(
            server.target, credentials=credentials, certificate_check_interval=0.02, connection_age=0.1
        ) as client,
        asyncio.timeout(20),
    ):
        while len({call.peer for call in server.received}) < 3:
            assert (await read(client)).revision == 9


async def test_a_connection_is_replaced_at_its_age_without_a_failed_call(
    server: ScriptedServer, credentials: ClientCredentials
) -> None:
    await read_on_three_connections(server, credentials)


async def test_a_connection_that_cannot_be_replaced_at_its_age_stays_and_is_no_fault(
    server: ScriptedServer, credentials: ClientCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[None] = []

    async def never_ready(_connection: Connection, *, within: float) -> None:
        attempts.append(None)
        raise UnavailableError("UNAVAILABLE", f"Not within {within} s.")

    async def are_several() -> bool:
        return len(attempts) > 2

    monkeypatch.setattr(Connection, "ready", never_ready)
    server.script("GetStanding", answer(STANDING))
    async with ScoreClient(
        server.target, credentials=credentials, certificate_check_interval=0.01, connection_age=0.01
    ) as client:
        await eventually(are_several)

        assert client.certificate_status().fault is None
        assert (await read(client)).revision == 9


async def test_a_connection_that_could_not_be_replaced_within_the_grace_is_given_up(
    server: ScriptedServer, credentials: ClientCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never_ready(_connection: Connection, *, within: float) -> None:
        raise UnavailableError("UNAVAILABLE", f"Not within {within} s.")

    monkeypatch.setattr(Connection, "ready", never_ready)
    monkeypatch.setattr("score_client.transport.channel.RETIREMENT_GRACE", 0.05)
    await read_on_three_connections(server, credentials)


async def test_a_connection_to_a_server_whose_certificate_has_expired_is_closed(
    authority: CertificateAuthority, credentials: ClientCredentials, caplog: pytest.LogCaptureFixture
) -> None:
    start = datetime.now(UTC) - timedelta(hours=1)
    ending = authority.issue(
        "ending-server", dns=["localhost"], not_before=start, valid_for=timedelta(hours=1, seconds=6)
    )
    server = ScriptedServer(ending)
    server.script("GetStanding", answer(STANDING))
    await server.start()
    async with ScoreClient(
        server.target, credentials=credentials, certificate_check_interval=0.05, timeout=0.5
    ) as client:
        assert (await read(client)).revision == 9

        async def is_closed() -> bool:
            try:
                await read(client)
            except UnavailableError:
                return True
            return False

        await eventually(is_closed)
        assert await is_closed()
    assert any("certificate of a server has expired" in record.message for record in caplog.records)
    await server.stop()


async def test_a_renewed_certificate_is_used_once_it_has_been_valid_for_the_activation_delay(
    server: ScriptedServer,
    certificate: RenewableCertificate,
    authority: CertificateAuthority,
) -> None:
    server.script("GetStanding", answer(STANDING))
    async with ScoreClient(
        server.target,
        credentials=certificate.credentials,
        certificate_check_interval=0.02,
        certificate_activation_delay=1.5,
    ) as client:
        first = client.certificate_status().not_before
        renewed = datetime.now(UTC)
        certificate.replace(authority.issue("renewed", uris=[GATEWAY_ID], not_before=renewed))
        await wait_for_identity(server, client, GATEWAY_ID)

        assert datetime.now(UTC) >= renewed.replace(microsecond=0) + timedelta(seconds=1.5)
        assert client.certificate_status().not_before == renewed.replace(microsecond=0) > first


async def test_changed_authorities_are_used_before_the_renewed_certificate(
    server: ScriptedServer,
    certificate: RenewableCertificate,
    authority: CertificateAuthority,
    foreign_authority: CertificateAuthority,
    tmp_path: Path,
) -> None:
    server.script("GetStanding", answer(STANDING))
    both = tmp_path / "both.pem"
    both.write_bytes(authority.ca_file.read_bytes() + foreign_authority.ca_file.read_bytes())
    async with ScoreClient(
        server.target, credentials=certificate.credentials, certificate_check_interval=0.02
    ) as client:
        first = client.certificate_status()
        renewed = authority.issue("renewed", uris=[GATEWAY_ID], not_before=datetime.now(UTC))
        certificate.replace(replace(renewed, ca_file=both))

        async def is_connected_anew() -> bool:
            await read(client)
            return len({call.peer for call in server.received}) == 2

        await eventually(is_connected_anew)
        assert client.certificate_status().not_before == first.not_before
        assert await identity(server, client) == BACKEND_ID


async def test_a_missing_file_keeps_the_old_channel(
    server: ScriptedServer,
    client: ScoreClient,
    certificate: RenewableCertificate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await read(client)
    certificate.remove("key.pem")
    await wait_for_log(caplog)

    assert await identity(server, client) == BACKEND_ID


async def test_a_certificate_the_server_rejects_keeps_the_old_channel(
    server: ScriptedServer,
    client: ScoreClient,
    certificate: RenewableCertificate,
    foreign_authority: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("score_client.transport.channel.CONNECT_TIMEOUT", 0.3)
    certificate.replace(foreign_authority.issue("impostor", uris=[BACKEND_ID]))
    await wait_for_log(caplog)

    assert await identity(server, client) == BACKEND_ID


async def test_a_certificate_of_a_foreign_authority_is_unavailable(
    server: ScriptedServer, foreign_authority: CertificateAuthority
) -> None:
    files = foreign_authority.issue("impostor", uris=[BACKEND_ID])
    credentials = ClientCredentials(files.ca_file, files.certificate_file, files.key_file)

    async with ScoreClient(server.target, credentials=credentials, timeout=0.5) as client:
        with pytest.raises(UnavailableError):
            await read(client)
    assert server.received == []


async def test_the_servers_name_is_checked(server: ScriptedServer, credentials: ClientCredentials) -> None:
    server.script("GetStanding", answer(STANDING))
    async with ScoreClient(
        server.target, credentials=credentials, server_name="other.example", timeout=0.5
    ) as client:
        with pytest.raises(UnavailableError):
            await read(client)


async def test_another_name_of_the_server_can_be_configured(
    server: ScriptedServer, credentials: ClientCredentials
) -> None:
    server.script("GetStanding", answer(STANDING))
    target = f"ipv4:127.0.0.1:{server.port}"

    async with ScoreClient(target, credentials=credentials, server_name="localhost") as client:
        assert (await read(client)).revision == 9


async def test_a_restarted_server_is_found_again_within_a_call(
    server: ScriptedServer, client: ScoreClient
) -> None:
    await read(client)
    await server.stop()
    call = asyncio.ensure_future(read(client))
    await server.start()

    assert (await call).revision == 9


@pytest.fixture
async def pair(server_certificate: CertificateFiles) -> AsyncIterator[list[ScriptedServer]]:
    servers = [ScriptedServer(server_certificate) for _ in range(2)]
    for server in servers:
        server.script("GetStanding", answer(STANDING))
        await server.start()
    yield servers
    for server in servers:
        await server.stop()


@pytest.fixture
async def spread_client(
    pair: list[ScriptedServer], credentials: ClientCredentials
) -> AsyncIterator[ScoreClient]:
    target = "ipv4:" + ",".join(f"127.0.0.1:{server.port}" for server in pair)
    async with ScoreClient(target, credentials=credentials, server_name="localhost") as client:
        async with asyncio.timeout(20):
            while not all(server.received for server in pair):
                await read(client)
        for server in pair:
            server.received.clear()
        yield client


async def test_calls_go_round_all_servers(pair: list[ScriptedServer], spread_client: ScoreClient) -> None:
    for _ in range(20):
        await read(spread_client)

    assert [len(server.received) for server in pair] == [10, 10]


async def reads_on(server: ScriptedServer, client: ScoreClient, count: int) -> int:
    """Return how many of the next calls this server gets."""
    server.received.clear()
    for _ in range(count):
        await read(client)
    return len(server.received)


async def test_a_server_that_drains_gets_no_more_calls(
    pair: list[ScriptedServer], spread_client: ScoreClient
) -> None:
    leaving, staying = pair

    await leaving.set_healthy(healthy=False)

    async def is_left_alone() -> bool:
        return await reads_on(leaving, spread_client, 4) == 0

    await eventually(is_left_alone)
    await leaving.stop()

    assert await reads_on(staying, spread_client, 20) == 20


async def test_a_server_that_dies_fails_no_call(
    pair: list[ScriptedServer], spread_client: ScoreClient
) -> None:
    dying, _ = pair
    calls = [asyncio.ensure_future(read(spread_client)) for _ in range(20)]
    await dying.stop()

    assert {view.revision for view in await asyncio.gather(*calls)} == {9}


async def test_while_no_server_is_healthy_any_is_asked(
    pair: list[ScriptedServer], spread_client: ScoreClient
) -> None:
    for server in pair:
        await server.set_healthy(healthy=False)

    async def are_all_asked() -> bool:
        return await reads_on(pair[0], spread_client, 4) == 2

    await eventually(are_all_asked)
    await pair[1].set_healthy(healthy=True)

    async def is_healthy_one_asked() -> bool:
        return await reads_on(pair[1], spread_client, 4) == 4

    await eventually(is_healthy_one_asked)


async def test_an_aged_connection_is_replaced_without_a_failed_call(
    server_certificate: CertificateFiles, credentials: ClientCredentials
) -> None:
    server = ScriptedServer(server_certificate)
    server.script("GetStanding", answer(STANDING))
    await server.start(("grpc.max_connection_age_ms", 100), ("grpc.max_connection_age_grace_ms", 100))
    async with ScoreClient(server.target, credentials=credentials) as client, asyncio.timeout(20):
        while len({call.peer for call in server.received}) < 3:
            assert (await read(client)).revision == 9
    await server.stop()


async def test_a_reset_connection_costs_one_more_attempt(
    server: ScriptedServer,
    credentials: ClientCredentials,
    start_proxy: Callable[[str], Awaitable[Proxy]],
) -> None:
    proxy = await start_proxy(f"localhost:{server.port}")
    server.script("GetStanding", answer(STANDING))
    async with ScoreClient(f"dns:///localhost:{proxy.port}", credentials=credentials) as client:
        await read(client)
        proxy.hold_replies()
        call = asyncio.ensure_future(read(client))
        await server.wait_for_calls("GetStanding", 2)
        proxy.reset()
        proxy.release()

        assert (await call).revision == 9
    assert len(server.received) == 3


async def test_a_reply_cut_in_two_costs_one_more_attempt(
    server: ScriptedServer,
    credentials: ClientCredentials,
    start_proxy: Callable[[str], Awaitable[Proxy]],
) -> None:
    proxy = await start_proxy(f"localhost:{server.port}")
    server.script("GetStanding", answer(STANDING))
    async with ScoreClient(f"dns:///localhost:{proxy.port}", credentials=credentials) as client:
        await read(client)
        proxy.cut_replies(after=10)

        assert (await read(client)).revision == 9
    assert proxy.connections == 2


async def test_an_unresponsive_server_is_given_up_at_the_timeout(
    server: ScriptedServer,
    credentials: ClientCredentials,
    start_proxy: Callable[[str], Awaitable[Proxy]],
) -> None:
    proxy = await start_proxy(f"localhost:{server.port}")
    server.script("GetStanding", answer(STANDING))
    async with ScoreClient(f"dns:///localhost:{proxy.port}", credentials=credentials, timeout=1.5) as client:
        await read(client)
        proxy.hold()
        with pytest.raises(UnavailableError) as caught:
            await read(client)
        proxy.release()

        assert caught.value.reason == "DEADLINE_EXCEEDED"
        assert (await read(client)).revision == 9


@pytest.mark.parametrize("variable", ["grpc_proxy", "https_proxy", "http_proxy"])
async def test_a_proxy_in_the_environment_is_for_the_way_out_and_not_for_the_service(
    variable: str,
    server: ScriptedServer,
    certificate: RenewableCertificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connections = 0

    async def reject(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    server.script("GetStanding", answer(STANDING))
    async with await asyncio.start_server(reject, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        for name in ("no_proxy", "no_grpc_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
        async with ScoreClient(server.target, credentials=certificate.credentials) as client:
            assert (await read(client)).revision == 9
    assert connections == 0
