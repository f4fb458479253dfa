"""Connections: who is trusted, which servers get calls, and certificates that change."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from conformance.adapter.client import Client, Failure, Kind
from conformance.cases.case import Case, case
from conformance.server.scripted import ScriptedServer, answer
from conformance.trial import RENEWED_IDENTITY, Trial, Violation, failure_of, require, result_of
from score_api.v1 import leaderboard_service_pb2 as boards

_READ: Final = "ListStandings"
_PAGE: Final = boards.ListStandingsResponse(position="1-aa")
_CLOSED_PORT: Final = "http://127.0.0.1:9"
"""A proxy that is not there."""
_PATIENCE_SECONDS: Final = 15.0
_SHORT_LIFE: Final = timedelta(seconds=6)
"""Of a certificate, from when it is made: for the client to connect in."""
_METADATA_BYTES_MAX: Final = 4096


async def _open_two(trial: Trial) -> tuple[list[ScriptedServer], Client]:
    servers = [await trial.start_server() for _ in range(2)]
    for server in servers:
        server.script(_READ, answer(_PAGE))
    return servers, await trial.open(*servers)


async def _count(servers: Sequence[ScriptedServer], client: Client, reads: int) -> list[int]:
    """Read so many times, and return how many of these calls each server got."""
    before = [len(server.calls(_READ)) for server in servers]
    for _ in range(reads):
        result_of(await client.top())
    return [len(server.calls(_READ)) - count for server, count in zip(servers, before, strict=True)]


async def _read_until_both_are_used(servers: Sequence[ScriptedServer], client: Client) -> None:
    await _read_until(servers, client, all, "calls to both servers")


async def _read_until(
    servers: Sequence[ScriptedServer], client: Client, holds: Callable[[list[int]], bool], expected: str
) -> None:
    """Read four times, until the numbers of calls of the servers are as they should."""
    counts: list[int] = []
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                counts = await _count(servers, client, 4)
                if holds(counts):
                    return
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise Violation(expected, f"{counts} of four calls after {_PATIENCE_SECONDS:g} s") from None


@case("connections", "A server with a certificate of another authority, or of another name, gets no call.")
async def a_foreign_server_gets_no_call(trial: Trial) -> None:
    """Two servers that are not the service. Both would take the client's certificate."""
    for certificate in (
        replace(trial.foreign_authority.issue("server", dns=["localhost"]), ca_file=trial.authority.ca_file),
        trial.authority.issue("elsewhere", dns=["elsewhere.example"]),
    ):
        server = await trial.start_server(certificate=certificate)
        client = await trial.open(server, timeout_seconds=4.0)
        failure = failure_of(await client.award())
        require(failure.kind is Kind.UNKNOWN, "the failure unknown", failure)
        require(not server.received, "no call", f"{len(server.received)} calls")
        await client.close()


@case("connections", "Calls go round all servers behind a name.")
async def calls_go_round(trial: Trial) -> None:
    """Two healthy servers."""
    servers, client = await _open_two(trial)
    await _read_until_both_are_used(servers, client)
    counts = await _count(servers, client, 10)
    require(min(counts) >= 3, "about as many calls to each of two servers", counts)


@case("connections", "A server that is not healthy gets no calls until it is.")
async def an_unhealthy_server_is_left_out(trial: Trial) -> None:
    """One of two servers is not healthy for a while."""
    servers, client = await _open_two(trial)
    await _read_until_both_are_used(servers, client)
    await servers[0].set_healthy(healthy=False)
    await _read_until(
        servers, client, lambda counts: counts[0] == 0, "no calls to a server that is not healthy"
    )
    await servers[0].set_healthy(healthy=True)
    await _read_until_both_are_used(servers, client)


@case("connections", "Calls go on while a server is gone, and it is used again when it is back.")
async def a_server_may_come_and_go(trial: Trial) -> None:
    """One of two servers stops, and starts again."""
    servers, client = await _open_two(trial)
    await _read_until_both_are_used(servers, client)
    await servers[1].stop()
    await _count(servers, client, 10)
    await servers[1].start()
    await _read_until_both_are_used(servers, client)


@case("connections", "Connections that the service closes by age fail no call.")
async def connections_end_by_age(trial: Trial) -> None:
    """Connections live for a third of a second."""
    server = await trial.start_server(
        ("grpc.max_connection_age_ms", 300), ("grpc.max_connection_age_grace_ms", 5_000)
    )
    client = await trial.open(server)
    peers: set[str] = set()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while len(peers) < 3:
            result_of(await client.award())
            peers = {call.peer for call in server.received}
            await asyncio.sleep(0.02)
    tries, made = len(trial.desk.attempts), len(trial.desk.made)
    require(tries - made <= len(peers), "one try for each award, and one more for each connection", tries)


@case("certificates", "Certificate files are read again, and a new certificate is shown without a restart.")
async def a_renewed_certificate_is_shown(trial: Trial) -> None:
    """All three files are replaced while the client is open."""
    server = await trial.start_server(("grpc.max_connection_age_ms", 1_000))
    client = await trial.open(server)
    result_of(await client.award())
    trial.files.replace(trial.authority.issue("renewed", uris=[RENEWED_IDENTITY]))
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while server.received[-1].identity != RENEWED_IDENTITY:
                await asyncio.sleep(0.1)
                result_of(await client.award())
    except TimeoutError:
        seen = f"the old one for {_PATIENCE_SECONDS:g} s"
        raise Violation("the identity of the new certificate", seen) from None


@case("certificates", "The file of authorities is read again, too.")
async def a_new_authority_is_trusted(trial: Trial) -> None:
    """The file gets another authority, and then the server a certificate of that one."""
    server = await trial.start_server(("grpc.max_connection_age_ms", 1_000))
    client = await trial.open(server)
    result_of(await client.award())
    both = trial.trust_both()
    trial.files.replace_one("ca.pem", both)
    for _ in range(10):  # Over the time between two looks at the files, and the age of a connection.
        await asyncio.sleep(0.2)
        result_of(await client.award())
    await server.stop()
    server.certificate = replace(trial.foreign_authority.issue("server", dns=["localhost"]), ca_file=both)
    await server.start()
    until = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while isinstance(answered := await client.award(), Failure):
        require(asyncio.get_running_loop().time() < until, "a call to the server again", answered)
        await asyncio.sleep(0.1)


@case("certificates", "Files that do not belong together never take over.")
async def unfit_files_do_not_take_over(trial: Trial) -> None:
    """The key is replaced, and the certificate is not yet."""
    server = await trial.start_server(("grpc.max_connection_age_ms", 300))
    client = await trial.open(server)
    result_of(await client.award())
    renewed = trial.authority.issue("renewed", uris=[RENEWED_IDENTITY])
    trial.files.replace_one("key.pem", renewed.key_file)
    for _ in range(10):
        await asyncio.sleep(0.1)
        result_of(await client.award())


@case("certificates", "A connection to a server whose certificate has expired is closed.")
async def an_expired_server_gets_no_call(trial: Trial) -> None:
    """The certificate of the server expires while the client is connected."""
    dated, end = datetime.now(UTC) - timedelta(hours=1), time.time() + _SHORT_LIFE.total_seconds()
    certificate = trial.authority.issue(
        "ending", dns=["localhost"], not_before=dated, valid_for=timedelta(hours=1) + _SHORT_LIFE
    )
    server = await trial.start_server(certificate=certificate)
    client = await trial.open(server, timeout_seconds=2.0)
    result_of(await client.award())
    while not isinstance(answered := await client.award(), Failure):
        late = time.time() - end
        require(late < _PATIENCE_SECONDS, "no call any more", f"calls {late:.0f} s after the end")
        await asyncio.sleep(0.1)
    require(answered.kind is Kind.UNKNOWN, "the failure unknown", answered)
    require(time.time() > end - 1, "calls as long as the certificate is valid", answered)


@case(
    "connections",
    "The service is called directly, also where the environment names a proxy for the way out.",
    https_proxy=_CLOSED_PORT,
    http_proxy=_CLOSED_PORT,
    grpc_proxy=_CLOSED_PORT,
    no_proxy="",
)
async def no_proxy_is_used(trial: Trial) -> None:
    """The environment names a proxy that is not there."""
    server, client = await trial.open_one(timeout_seconds=5.0)
    answered = await client.award()
    require(server.received, "a call to the server", answered)
    result_of(answered)


@case("limits", "Metadata of a call stays small.")
async def metadata_is_small(trial: Trial) -> None:
    """An award and a read."""
    server, client = await trial.open_one()
    server.script(_READ, answer(_PAGE))
    result_of(await client.award())
    result_of(await client.top())
    for call in server.received:
        size = sum(len(name) + len(value) for name, value in call.metadata.items())
        require(size <= _METADATA_BYTES_MAX, f"{_METADATA_BYTES_MAX:,} bytes of metadata", f"{size:,} bytes")
        require(call.seconds_left is not None, f"a deadline of {call.method}", "none")


CASES: Final[Sequence[Case]] = (
    a_foreign_server_gets_no_call,
    calls_go_round,
    an_unhealthy_server_is_left_out,
    a_server_may_come_and_go,
    connections_end_by_age,
    a_renewed_certificate_is_shown,
    a_new_authority_is_trusted,
    unfit_files_do_not_take_over,
    an_expired_server_gets_no_call,
    no_proxy_is_used,
    metadata_is_small,
)
