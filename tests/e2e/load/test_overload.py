"""Ten times the capacity: accepted work is done, the rest is rejected at once, and then all is as before.

Nothing here looks at a clock. What counts is how calls end, what the record has, how many were under way at
a time, and what memory it took.
"""

import asyncio
import signal
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import grpc
from tests.fixtures.clients.browser import PASSWORD, Browser, edge, join
from tests.fixtures.clients.wire import Wire, wire
from tests.fixtures.ledgers.record import award, check_ranks, check_record, read_ledger
from tests.fixtures.servers.postgres import Database
from tests.fixtures.services.score_service import Stubs, award_request, credentials_of, read_rejection
from tests.fixtures.services.stack import Stack, target_of
from tests.fixtures.services.watching import memory_of, metric_of, watching

from local_stack.certificates import CertificateFiles
from score_api.v1 import score_service_pb2 as score_pb

CAPACITY, TIMES, ROUNDS = 16, 10, 4
GROWTH = 1.5
"""By how much the memory of a process may grow in a flood."""
OVERLOADED = "OVERLOADED"


async def flood(call: Callable[[], Awaitable[str]], at_once: int, rounds: int) -> Counter[str]:
    """Have so many calls under way at all times, and count how they end."""
    ends: Counter[str] = Counter()

    async def ask() -> None:
        for _ in range(rounds):
            ends[await call()] += 1

    await asyncio.gather(*(ask() for _ in range(at_once)))
    return ends


def recorded(database: Database) -> set[str]:
    return {str(row[1]) for row in read_ledger(database)}


class Backend:
    """Asks for awards by raw calls, and remembers which were made."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stubs = Stubs.on(channel)
        self.made: set[str] = set()

    async def award(self) -> str:
        request = award_request()
        try:
            await self._stubs.score.AwardPoints(request, timeout=120)
        except grpc.aio.AioRpcError as error:
            return _name(error)
        self.made.add(request.award.award_id)
        return "OK"

    async def award_many(self, count: int) -> str:
        requests = [award_request() for _ in range(count)]
        try:
            batch = score_pb.BatchAwardPointsRequest(requests=requests)
            response = await self._stubs.score.BatchAwardPoints(batch, timeout=120)
        except grpc.aio.AioRpcError as error:
            return _name(error)
        self.made |= {item.result.award_id for item in response.items if item.HasField("result")}
        reasons = {item.error.reason for item in response.items if item.HasField("error")}
        return " ".join(reasons) or "OK"


def _name(error: grpc.aio.AioRpcError) -> str:
    """Name the end of a call by its reason, if it says when to come again, and by its code otherwise."""
    rejection = read_rejection(error)
    return rejection.reason if rejection.retry_after else f"{rejection.code.name} {rejection.message}"


async def test_at_ten_times_the_capacity_each_call_is_answered_or_rejected(
    stack: Stack, database: Database, backend_certificate: CertificateFiles
) -> None:
    service = await stack.start_score_service(calls_max=CAPACITY)
    async with grpc.aio.secure_channel(target_of(service), credentials_of(backend_certificate)) as channel:
        backend = Backend(channel)
        await flood(backend.award, CAPACITY, ROUNDS)
        before = memory_of(service)

        async with watching(service, "laurel_calls_under_way") as highest:
            ends = await flood(backend.award, TIMES * CAPACITY, ROUNDS)

        assert ends.keys() == {"OK", OVERLOADED}
        assert ends.total() == TIMES * CAPACITY * ROUNDS
        assert highest.looks
        assert highest.metric <= CAPACITY
        assert highest.memory < GROWTH * before
        assert await backend.award() == "OK"
    assert recorded(database) == backend.made
    check_record(database)


async def test_at_ten_times_the_capacity_each_award_is_made_or_rejected(
    stack: Stack, database: Database, backend_certificate: CertificateFiles
) -> None:
    room, size = 400, 100
    service = await stack.start_score_service(awards_waiting_max=room)
    async with grpc.aio.secure_channel(target_of(service), credentials_of(backend_certificate)) as channel:
        backend = Backend(channel)
        await backend.award_many(size)
        before = memory_of(service)

        async with watching(service, "laurel_awards_waiting") as highest:
            ends = await flood(lambda: backend.award_many(size), TIMES * room // size, 4)

        assert ends.keys() == {"OK", OVERLOADED}
        assert highest.metric <= room
        assert highest.memory < GROWTH * before
        assert await backend.award_many(size) == "OK"
    assert recorded(database) == backend.made
    check_record(database)


async def test_rejected_clients_retry_until_all_awards_are_made(stack: Stack, database: Database) -> None:
    service = await stack.start_score_service(calls_max=1)
    async with AsyncExitStack() as opened:
        clients = [await opened.enter_async_context(stack.client(target_of(service))) for _ in range(8)]
        calls = [award(client, f"user{n}") for n in range(100) for client in clients]
        results = await asyncio.gather(*calls)
        expected = check_record(database)
        await check_ranks(clients[0], expected)

    assert {total for _, total, _ in expected} == {len(clients)}
    assert {str(result.award_id) for result in results} == recorded(database)
    assert await metric_of(service, "laurel_rejected_total") > 0


async def test_reads_are_answered_while_awards_flood(
    stack: Stack, backend_certificate: CertificateFiles
) -> None:
    service = await stack.start_score_service(calls_max=CAPACITY)
    async with (
        grpc.aio.secure_channel(target_of(service), credentials_of(backend_certificate)) as channel,
        stack.client(target_of(service)) as reader,
    ):
        backend = Backend(channel)
        assert await backend.award() == "OK"
        flooding = asyncio.create_task(flood(backend.award, TIMES * CAPACITY, ROUNDS))
        reads = 0
        while not flooding.done():
            view = await reader.get_standing(board_id="main", user_id="ada")
            assert view.standing.rank == 1
            await reader.ping()
            reads += 1
        assert reads
        assert OVERLOADED in await flooding


async def test_little_abandoned_work_is_started(
    stack: Stack, database: Database, backend_certificate: CertificateFiles
) -> None:
    calls = 300
    service = await stack.start_score_service()
    async with grpc.aio.secure_channel(target_of(service), credentials_of(backend_certificate)) as channel:
        backend, stubs = Backend(channel), Stubs.on(channel)
        assert await backend.award() == "OK"
        service.child.process.send_signal(signal.SIGSTOP)
        try:
            late = (stubs.score.AwardPoints(award_request(), timeout=1) for _ in range(calls))
            ends = await asyncio.gather(*late, return_exceptions=True)
        finally:
            service.child.process.send_signal(signal.SIGCONT)
        assert {type(end) for end in ends} == {grpc.aio.AioRpcError}
        assert await backend.award() == "OK"
    # A call is started if the service has read that it begins, and not yet that it is given up. When a thread
    # of gRPC reads the latter is chance: of 300 calls mostly none is started, and dozens on a busy machine.
    assert len(recorded(database) - backend.made) < calls / 2


class Page:
    """A page that completes actions it has started, each until it is answered."""

    def __init__(self, connection: Wire, player: Browser, tokens: list[str]) -> None:
        self._connection = connection
        self._player = player
        self._tokens = tokens
        self.ends: Counter[str] = Counter()

    async def complete_all(self) -> None:
        for token in self._tokens:
            while await self._complete(token) == "429 rate_limited":
                pass  # A browser would wait as long as Retry-After says. This one does its worst.

    async def _complete(self, token: str) -> str:
        body = {"actionToken": token, "proof": {"answer": "yes"}}
        answer = await self._connection.ask("POST", "/api/v1/actions/complete", body, **self._player.headers)
        end = "200" if answer.status == 200 else f"{answer.status} {answer.code}"
        assert ("retry-after" in answer.headers) == (answer.status == 429)
        self.ends[end] += 1
        return end


async def test_at_ten_times_the_capacity_each_request_is_answered_or_rejected(
    stack: Stack, database: Database
) -> None:
    capacity, each = 2, 3
    service = await stack.start_score_service()
    gateway = await stack.start_gateway(target_of(service), max_requests=capacity)
    async with edge(gateway.addresses["http"]) as http, AsyncExitStack() as opened:
        player = await join(http, "ada")
        pages = []
        for _ in range(TIMES * capacity):
            connection = await opened.enter_async_context(wire(gateway.addresses["http"]))
            pages.append(Page(connection, player, [await player.start("quick") for _ in range(each)]))
        before = memory_of(gateway)

        async with watching(gateway, "gateway_requests_under_way") as highest:
            await asyncio.gather(*(page.complete_all() for page in pages))

        ends = sum((page.ends for page in pages), Counter())
        assert ends.keys() == {"200", "429 rate_limited"}
        assert ends["200"] == len(pages) * each
        assert highest.metric <= capacity
        assert highest.memory < GROWTH * before
        assert (await http.get("/leaderboard", headers=player.headers)).status_code == 200
    assert len(recorded(database)) == len(pages) * each
    assert await metric_of(gateway, "gateway_requests_rejected_total") == ends["429 rate_limited"]


async def test_a_flood_of_logins_does_not_starve_logged_in_players(stack: Stack) -> None:
    service = await stack.start_score_service()
    gateway = await stack.start_gateway(target_of(service), score_timeout_seconds=30)
    async with edge(gateway.addresses["http"]) as http, AsyncExitStack() as opened:
        player = await join(http, "ada")
        intruders = [await opened.enter_async_context(wire(gateway.addresses["http"])) for _ in range(50)]

        async def guess(connection: Wire) -> int:
            credentials = {"username": f"user-{uuid.uuid4().hex[:8]}", "password": PASSWORD}
            return (await connection.ask("POST", "/api/v1/auth/login", credentials)).status

        guessing = asyncio.gather(*map(guess, intruders))
        played = 0
        while not guessing.done():
            assert (await player.complete(await player.start("quick"), "yes")).status_code == 200
            played += 1
        statuses = Counter(await guessing)
        assert statuses.keys() <= {401, 503}
        assert statuses[503]
        assert played
