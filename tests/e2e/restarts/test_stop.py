"""A stop while an award is under way and PostgreSQL does not answer: it is not lost, whatever is answered."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import grpc
import pytest
from grpc import StatusCode
from tests.fixtures.ledgers.record import check_record, read_ledger, wait_for_awards
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.processes import RunningService
from tests.fixtures.services.score_service import Stubs, award_request, credentials_of, rejected
from tests.fixtures.services.stack import Stack, target_of

from local_stack.certificates import CertificateFiles
from score_api.v1 import score_service_pb2 as score_pb

FIRST, SECOND = award_request(points=10), award_request(points=5)


@pytest.fixture
async def proxy(database: Database, start_proxy: Callable[[str], Awaitable[Proxy]]) -> Proxy:
    """Stand between a service and its PostgreSQL."""
    return await start_proxy(urlsplit(database.logins["score_runtime"].url).netloc.rpartition("@")[2])


@pytest.fixture
async def service(stack: Stack, database: Database, proxy: Proxy) -> RunningService:
    """Return a service behind the proxy."""
    url = urlsplit(database.logins["score_runtime"].url)
    user = url.netloc.rpartition("@")[0]
    query = f"{url.query}&" if url.query else ""
    through = url._replace(netloc=f"{user}@127.0.0.1:{proxy.port}", query=f"{query}gssencmode=disable")
    return await stack.start_score_service(database_dsn=through.geturl())


@pytest.fixture
async def connect(backend_certificate: CertificateFiles) -> AsyncIterator[Callable[[RunningService], Stubs]]:
    """Return a function that connects to a service, for calls that are not tried again."""
    channels: list[grpc.aio.Channel] = []

    def open_channel(service: RunningService) -> Stubs:
        channels.append(grpc.aio.secure_channel(target_of(service), credentials_of(backend_certificate)))
        return Stubs.on(channels[-1])

    yield open_channel
    for channel in channels:
        await channel.close()


async def begin(stubs: Stubs, proxy: Proxy, database: Database) -> Awaitable[score_pb.AwardPointsResponse]:
    """Make an award, and have a second one under way that is in the record and not answered."""
    await stubs.score.AwardPoints(FIRST, timeout=20)
    proxy.hold_replies()
    call = stubs.score.AwardPoints(SECOND, timeout=30)
    await wait_for_awards(database, 2)
    return call


async def ask_to_stop(service: RunningService) -> None:
    service.child.process.send_signal(signal.SIGTERM)

    async def is_stopping() -> bool:
        return "stopping" in service.log()

    await eventually(is_stopping)


async def check_another_tells_it_as_made(
    stack: Stack, service: RunningService, connect: Callable[[RunningService], Stubs]
) -> None:
    """Wait for the end, and send the second award to another process, with the same ids."""
    assert await asyncio.to_thread(service.child.process.wait, 30) == 0
    other = await stack.start_score_service()
    again = (await connect(other).score.AwardPoints(SECOND, timeout=20)).result
    assert (again.revision, again.total, again.replayed) == (2, 15, False)


async def test_an_award_under_way_is_answered_once_the_record_answers(
    stack: Stack,
    database: Database,
    service: RunningService,
    proxy: Proxy,
    connect: Callable[[RunningService], Stubs],
) -> None:
    call = await begin(connect(service), proxy, database)
    await ask_to_stop(service)
    proxy.release()

    outcome = (await call).result
    assert (outcome.revision, outcome.total, outcome.replayed) == (2, 15, False)
    await check_another_tells_it_as_made(stack, service, connect)
    assert check_record(database) == [("ada", 15, 2)]


async def test_an_award_under_way_is_reported_as_unknown_where_the_record_never_answers(
    stack: Stack,
    database: Database,
    service: RunningService,
    proxy: Proxy,
    connect: Callable[[RunningService], Stubs],
) -> None:
    call = await begin(connect(service), proxy, database)
    await ask_to_stop(service)

    outcome = await rejected(call)
    assert (outcome.code, outcome.reason) == (StatusCode.UNAVAILABLE, "RECORD_UNAVAILABLE")
    await check_another_tells_it_as_made(stack, service, connect)
    assert len(read_ledger(database)) == 2
