"""The client and the real service: what callers are promised, end to end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from tests.fixtures.certificates import BACKEND_ID, GATEWAY_ID, STRANGER_ID
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.score_service import ScoreService, StartScoreService

from local_stack.certificates import CertificateAuthority, CertificateFiles
from score_client import (
    AwardConflictError,
    AwardNotFoundError,
    AwardResult,
    BoardNotFoundError,
    ClientCredentials,
    InvalidRequestError,
    NotAllowedError,
    NotAuthenticatedError,
    QuotaExceededError,
    ScoreClient,
    Snapshot,
    Source,
    Standing,
    StandingNotFoundError,
    UnavailableError,
    Update,
    WatchEvent,
)


@pytest.fixture
async def client(score_service: ScoreService, credentials: ClientCredentials) -> AsyncIterator[ScoreClient]:
    async with ScoreClient(score_service.target, credentials=credentials) as client:
        yield client


@pytest.fixture
async def proxy(score_service: ScoreService, start_proxy: Callable[[str], Awaitable[Proxy]]) -> Proxy:
    return await start_proxy(str(score_service.running.grpc_address))


@pytest.fixture
async def proxied_client(proxy: Proxy, credentials: ClientCredentials) -> AsyncIterator[ScoreClient]:
    async with ScoreClient(f"dns:///localhost:{proxy.port}", credentials=credentials) as client:
        yield client


async def give(client: ScoreClient, user_id: str = "ada", points: int = 10, **ids: Any) -> AwardResult:
    return await client.award(
        board_id="main", user_id=user_id, points=points, action_type="puzzle", action_id="p1", **ids
    )


def credentials_of(files: CertificateFiles) -> ClientCredentials:
    return ClientCredentials(files.ca_file, files.certificate_file, files.key_file)


async def test_an_award_is_made_and_read_back(client: ScoreClient) -> None:
    result = await give(client, points=25)

    assert (result.revision, result.total, result.rank, result.replayed) == (1, 25, 1, False)
    read = await client.get_award(board_id="main", award_id=result.award_id)
    assert (read.position, read.total, read.replayed) == (result.position, 25, True)


async def test_a_service_that_is_ready_answers_a_ping(client: ScoreClient) -> None:
    await client.ping()


async def test_a_service_that_is_not_ready_fails_a_ping(
    client: ScoreClient, score_service: ScoreService
) -> None:
    await client.ping()
    await score_service.running.readiness.stop()

    with pytest.raises(UnavailableError) as caught:
        await client.ping()
    assert caught.value.reason == "NOT_SERVING"


async def test_an_unknown_caller_does_not_learn_whether_the_service_is_ready(
    score_service: ScoreService, stranger_certificate: CertificateFiles
) -> None:
    credentials = credentials_of(stranger_certificate)
    async with ScoreClient(score_service.target, credentials=credentials) as client:
        with pytest.raises(NotAllowedError):
            await client.ping()


async def test_a_second_use_of_an_award_gets_the_first_result(client: ScoreClient) -> None:
    award_id, request_id = uuid4(), uuid4()
    first = await give(client, award_id=award_id, request_id=request_id)
    same_call = await give(client, award_id=award_id, request_id=request_id)
    second_use = await give(client, award_id=award_id)

    assert same_call == first
    assert (second_use.replayed, second_use.position) == (True, first.position)
    with pytest.raises(AwardConflictError):
        await give(client, points=11, award_id=award_id)


async def test_an_award_whose_answer_is_lost_is_not_a_replay(
    client: ScoreClient, proxied_client: ScoreClient, proxy: Proxy
) -> None:
    await give(proxied_client)
    award_id = uuid4()

    async def is_made() -> bool:
        try:
            await client.get_award(board_id="main", award_id=award_id)
        except AwardNotFoundError:
            return False
        return True

    proxy.hold_replies()
    award = asyncio.ensure_future(give(proxied_client, award_id=award_id))
    await eventually(is_made)
    proxy.reset()
    proxy.release()

    result = await award
    assert (result.award_id, result.revision, result.total, result.replayed) == (award_id, 2, 20, False)
    assert proxy.connections > 1


@pytest.mark.parametrize("after", [0, 20, 60])
async def test_an_award_whose_answer_is_cut_is_not_a_replay(
    proxied_client: ScoreClient, proxy: Proxy, after: int
) -> None:
    await give(proxied_client)
    proxy.cut_replies(after=after)

    results = [await give(proxied_client) for _ in range(5)]

    assert [(result.revision, result.replayed) for result in results] == [(n, False) for n in range(2, 7)]
    assert proxy.connections > 1


async def test_all_reads_agree(client: ScoreClient) -> None:
    for user_id, points in [("ada", 30), ("ben", 20), ("cy", 20)]:
        last = await give(client, user_id, points)
    ada, ben, cy = (
        Standing(user_id="ada", total=30, rank=1, reached_revision=1),
        Standing(user_id="ben", total=20, rank=2, reached_revision=2),
        Standing(user_id="cy", total=20, rank=3, reached_revision=3),
    )
    at_least = {"board_id": "main", "min_revision": last.revision}

    one = await client.get_standing(user_id="ben", **at_least)  # type: ignore[arg-type]
    some = await client.batch_get_standings(user_ids=["cy", "nobody", "ada"], **at_least)  # type: ignore[arg-type]
    page = await client.list_standings(page_size=2, **at_least)  # type: ignore[arg-type]
    rest = await client.list_standings(board_id="main", page_size=2, page_token=page.next_page_token)
    near = await client.list_standings_around(user_id="cy", radius=1, **at_least)  # type: ignore[arg-type]

    assert (one.standing, one.revision, one.position, one.source) == (ben, 3, last.position, Source.CACHE)
    assert some.standings == (cy, ada)
    assert (page.standings, rest.standings, rest.next_page_token) == ((ada, ben), (cy,), "")
    assert near.standings == (ben, cy)


async def test_what_does_not_exist_is_named(client: ScoreClient) -> None:
    with pytest.raises(BoardNotFoundError):
        await client.list_standings(board_id="main")
    with pytest.raises(BoardNotFoundError):
        await anext(client.watch(board_id="main"))
    await give(client)
    with pytest.raises(StandingNotFoundError):
        await client.get_standing(board_id="main", user_id="nobody")
    with pytest.raises(AwardNotFoundError):
        await client.get_award(board_id="main", award_id=uuid4())


async def test_invalid_fields_are_named(client: ScoreClient) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await give(client, user_id="not a user", points=0)
    assert set(caught.value.fields) == {"award.user_id", "award.points"}

    with pytest.raises(InvalidRequestError) as caught:
        await anext(client.watch(board_id="main", after_position="nonsense"))
    assert set(caught.value.fields) == {"after_position"}


async def test_the_policy_is_enforced(
    score_service: ScoreService,
    client: ScoreClient,
    reader_certificate: CertificateFiles,
    metered_certificate: CertificateFiles,
) -> None:
    with pytest.raises(NotAllowedError):
        await client.list_standings(board_id="elsewhere")
    with pytest.raises(NotAllowedError):
        await anext(client.watch(board_id="elsewhere"))
    async with ScoreClient(score_service.target, credentials=credentials_of(reader_certificate)) as reader:
        with pytest.raises(NotAllowedError):
            await give(reader)
    async with ScoreClient(score_service.target, credentials=credentials_of(metered_certificate)) as metered:
        awards = [give(metered, points=100) for _ in range(5)]
        with pytest.raises(QuotaExceededError) as caught:
            await asyncio.gather(*awards)
    assert (caught.value.retry_after or 0) > 0


class Fold:
    """What a watcher knows after some events."""

    def __init__(self) -> None:
        self.revision = 0
        self.top: tuple[Standing, ...] = ()
        self.totals: dict[str, int] = {}

    def apply(self, event: WatchEvent) -> None:
        self.revision = event.revision
        if isinstance(event, Snapshot):
            assert not event.reset
            self.top = event.top
        if isinstance(event, Update):
            self.top = self.top if event.top is None else event.top
            self.totals |= {standing.user_id: standing.total for standing in event.scores}

    async def follow(self, events: AsyncIterator[WatchEvent], revision: int) -> None:
        """Apply events until the board stands at a revision and every score up to it was received."""
        async for event in events:
            self.apply(event)
            if event.revision >= revision and not isinstance(event, Snapshot):
                return


async def test_a_watch_that_breaks_repeatedly_ends_like_an_uninterrupted_one(
    client: ScoreClient, proxied_client: ScoreClient, proxy: Proxy
) -> None:
    awards = 60
    await give(client, "ada", 1)
    steady, shaky = Fold(), Fold()
    steady_events = client.watch(board_id="main", all_scores=True)
    shaky_events = proxied_client.watch(board_id="main", all_scores=True)
    steady.apply(await anext(steady_events))
    shaky.apply(await anext(shaky_events))

    async def break_the_line() -> None:
        for number in range(awards):
            await give(client, f"user-{number % 7}", number + 1)
            if number % 10 == 5:
                proxy.reset()

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(break_the_line())
        tasks.create_task(steady.follow(steady_events, awards + 1))
        tasks.create_task(shaky.follow(shaky_events, awards + 1))

    assert proxy.connections > 3
    assert vars(shaky) == vars(steady)
    top = await client.list_standings(board_id="main", page_size=10, min_revision=awards + 1)
    assert shaky.top == top.standings


async def test_no_award_fails_while_one_of_two_servers_drains_and_stops(
    start_score_service: StartScoreService, credentials: ClientCredentials
) -> None:
    leaving, staying = [await start_score_service(drain_seconds=0.5) for _ in range(2)]
    ports = [service.running.grpc_address.port for service in (leaving, staying)]
    target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
    stopped = asyncio.Event()
    results: list[AwardResult] = []

    async with ScoreClient(target, credentials=credentials, server_name="localhost") as client:

        async def give_until_stopped(user_id: str) -> None:
            while not stopped.is_set():
                results.append(await give(client, user_id))

        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for number in range(4):
                tasks.create_task(give_until_stopped(f"user-{number}"))
            await give(client)
            await leaving.running.stop(asyncio.Event())
            stopped.set()
        last = await give(client)

    assert last.revision == len(results) + 2
    assert not any(result.replayed for result in results)


@pytest.mark.parametrize(
    ("uris", "error"),
    [
        ([STRANGER_ID], NotAllowedError),
        ([], NotAuthenticatedError),
        ([BACKEND_ID, GATEWAY_ID], NotAuthenticatedError),
    ],
)
async def test_a_caller_unknown_to_the_policy_is_denied(
    score_service: ScoreService, authority: CertificateAuthority, uris: list[str], error: type[Exception]
) -> None:
    credentials = credentials_of(authority.issue(f"caller-{len(uris)}", uris=uris))

    async with ScoreClient(score_service.target, credentials=credentials) as client:
        with pytest.raises(error):
            await give(client)
        with pytest.raises(error):
            await anext(client.watch(board_id="main"))
