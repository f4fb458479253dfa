"""A watch across the streams it takes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from grpc import StatusCode
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.stores import eventually
from tests.score_client.renewable import RenewableCertificate

from conformance.server.scripted import ScriptedServer, Step, play, reject
from local_stack.certificates import CertificateFiles
from score_api.v1 import leaderboard_service_pb2 as boards
from score_api.v1 import types_pb2
from score_client import (
    BoardNotFoundError,
    Checkpoint,
    ClientClosedError,
    ClientCredentials,
    InvalidRequestError,
    NotAllowedError,
    NotAuthenticatedError,
    ScoreClient,
    Snapshot,
    Source,
    Standing,
    Update,
    WatchEvent,
)

Stream = AsyncIterator[boards.WatchLeaderboardResponse]

ADA = types_pb2.Standing(user_id="ada", total=30, rank=1, reached_revision=7)
ADA_VALUE = Standing(user_id="ada", total=30, rank=1, reached_revision=7)


def snapshot(revision: int, *, reset: bool = False) -> boards.WatchLeaderboardResponse:
    return message(revision, snapshot=boards.Snapshot(top=[ADA], reset=reset))


def update(revision: int) -> boards.WatchLeaderboardResponse:
    return message(revision, update=boards.Update(scores=[ADA]))


def checkpoint(revision: int) -> boards.WatchLeaderboardResponse:
    return message(revision, checkpoint=boards.Checkpoint())


def message(revision: int, **body: Any) -> boards.WatchLeaderboardResponse:
    return boards.WatchLeaderboardResponse(
        revision=revision, position=f"{revision}-00", source=types_pb2.SOURCE_CACHE, **body
    )


async def take(events: AsyncIterator[WatchEvent], count: int) -> list[WatchEvent]:
    async with asyncio.timeout(20):
        return [await anext(events) for _ in range(count)]


def positions(server: ScriptedServer) -> list[str | None]:
    """Return the position each stream was opened with."""
    requests = [call.request for call in server.calls("WatchLeaderboard")]
    return [request.after_position if request.HasField("after_position") else None for request in requests]


@pytest.fixture
async def client(server: ScriptedServer, credentials: ClientCredentials) -> AsyncIterator[ScoreClient]:
    async with ScoreClient(server.target, credentials=credentials) as client:
        yield client


async def test_a_watch_yields_typed_events(server: ScriptedServer, client: ScoreClient) -> None:
    new_top = message(3, update=boards.Update(top=[ADA], top_changed=True))
    empty_top = message(4, update=boards.Update(top_changed=True))
    server.script("WatchLeaderboard", play(snapshot(1), update(2), new_top, empty_top, checkpoint(5)))

    events = await take(client.watch(board_id="main", all_scores=True), 5)

    cache = Source.CACHE
    assert events == [
        Snapshot(top=(ADA_VALUE,), reset=False, revision=1, position="1-00", source=cache),
        Update(top=None, scores=(ADA_VALUE,), revision=2, position="2-00", source=cache),
        Update(top=(ADA_VALUE,), scores=(), revision=3, position="3-00", source=cache),
        Update(top=(), scores=(), revision=4, position="4-00", source=cache),
        Checkpoint(revision=5, position="5-00", source=cache),
    ]


async def test_a_watch_requests_what_its_arguments_say(server: ScriptedServer, client: ScoreClient) -> None:
    server.script("WatchLeaderboard", play(snapshot(1)))

    await take(client.watch(board_id="main", top_n=3, after_position="0-00", user_ids=["ada"]), 1)

    assert server.received[0].request == boards.WatchLeaderboardRequest(
        board_id="main", top_n=3, after_position="0-00", user_ids=["ada"]
    )


async def test_a_kind_of_event_not_known_yet_counts_as_a_checkpoint(
    server: ScriptedServer, client: ScoreClient
) -> None:
    server.script("WatchLeaderboard", play(message(2)))

    [event] = await take(client.watch(board_id="main"), 1)

    assert isinstance(event, Checkpoint)


BREAKS: list[Step | None] = [
    None,
    reject(StatusCode.UNAVAILABLE, "SHUTTING_DOWN", retry_after=0),
    reject(StatusCode.UNAVAILABLE),
    reject(StatusCode.CANCELLED),
    reject(StatusCode.DEADLINE_EXCEEDED),
    reject(StatusCode.RESOURCE_EXHAUSTED, "WATCHER_EVICTED", retry_after=0.01),
    reject(StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"),
    reject(StatusCode.INTERNAL, "INTERNAL"),
    reject(StatusCode.UNKNOWN),
]


@pytest.mark.parametrize("how", BREAKS)
async def test_a_broken_watch_resumes_from_its_last_position(
    server: ScriptedServer, client: ScoreClient, how: Step | None
) -> None:
    server.script(
        "WatchLeaderboard",
        play(snapshot(1), update(2), then=how),
        play(snapshot(3), update(3), checkpoint(4)),
    )

    events = await take(client.watch(board_id="main", all_scores=True), 5)

    assert [event.revision for event in events] == [1, 2, 3, 3, 4]
    assert positions(server) == [None, "2-00"]


async def test_watch_that_breaks_right_after_another_period_began_resumes_from_before_it(
    server: ScriptedServer, client: ScoreClient
) -> None:
    server.script(
        "WatchLeaderboard",
        play(snapshot(1), snapshot(5), then=None),
        play(snapshot(5), update(5)),
    )

    events = await take(client.watch(board_id="main", all_scores=True), 4)

    assert [event.revision for event in events] == [1, 5, 5, 5]
    assert positions(server) == [None, "1-00"]


async def test_a_resumed_snapshot_is_no_position_before_the_scores_behind_it(
    server: ScriptedServer, client: ScoreClient
) -> None:
    cut = reject(StatusCode.UNAVAILABLE)
    server.script(
        "WatchLeaderboard",
        play(snapshot(1), then=cut),
        play(snapshot(5), then=cut),
        play(snapshot(6), update(6), then=cut),
        play(snapshot(7)),
    )

    await take(client.watch(board_id="main", all_scores=True), 5)

    assert positions(server) == [None, "1-00", "1-00", "6-00"]


async def test_a_reset_snapshot_is_passed_on_and_starts_anew(
    server: ScriptedServer, client: ScoreClient
) -> None:
    cut = reject(StatusCode.UNAVAILABLE)
    server.script(
        "WatchLeaderboard",
        play(snapshot(9), then=cut),
        play(snapshot(4, reset=True), then=cut),
        play(snapshot(4)),
    )

    events = await take(client.watch(board_id="main"), 3)

    assert [event.reset for event in events if isinstance(event, Snapshot)] == [False, True, False]
    assert positions(server) == [None, "9-00", "4-00"]


@pytest.mark.parametrize(
    ("rejection", "error"),
    [
        (reject(StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"), InvalidRequestError),
        (reject(StatusCode.UNAUTHENTICATED, "IDENTITY_MISSING"), NotAuthenticatedError),
        (reject(StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"), NotAllowedError),
        (reject(StatusCode.NOT_FOUND, "BOARD_NOT_FOUND"), BoardNotFoundError),
    ],
)
async def test_a_watch_ends_with_a_permanent_failure(
    server: ScriptedServer, client: ScoreClient, rejection: Step, error: type[Exception]
) -> None:
    server.script("WatchLeaderboard", play(then=rejection))

    with pytest.raises(error):
        await take(client.watch(board_id="main"), 1)
    assert len(server.received) == 1


async def test_an_unsendable_watch_is_an_invalid_request(client: ScoreClient) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await take(client.watch(board_id="main", top_n=2**31), 1)
    assert list(caught.value.fields) == ["top_n"]


async def test_bytes_that_are_no_message_break_the_stream_only(
    server: ScriptedServer, client: ScoreClient
) -> None:
    server.script("WatchLeaderboard", play(snapshot(1), b"\xff"), play(snapshot(2)))

    assert [event.revision for event in await take(client.watch(board_id="main"), 2)] == [1, 2]


async def test_a_silent_watch_is_noticed_and_resumed(
    server: ScriptedServer, credentials: ClientCredentials
) -> None:
    server.script("WatchLeaderboard", play(snapshot(1)), play(snapshot(2)))
    async with ScoreClient(server.target, credentials=credentials, stall_timeout=0.1) as client:
        await take(client.watch(board_id="main"), 2)

    assert positions(server) == [None, "1-00"]


async def test_a_watch_that_never_begins_is_opened_again(
    server: ScriptedServer, credentials: ClientCredentials
) -> None:
    server.script("WatchLeaderboard", play(), play(snapshot(1)))
    async with ScoreClient(server.target, credentials=credentials, timeout=0.2) as client:
        await take(client.watch(board_id="main"), 1)

    assert positions(server)[:2] == [None, None]


async def test_a_watch_moves_to_the_new_channel_when_the_certificate_changes(
    server: ScriptedServer,
    certificate: RenewableCertificate,
    gateway_certificate: CertificateFiles,
) -> None:
    messages: asyncio.Queue[boards.WatchLeaderboardResponse] = asyncio.Queue()

    async def relay(_request: object, _context: object) -> Stream:
        while True:
            yield await messages.get()

    server.script("WatchLeaderboard", relay, play(snapshot(50), checkpoint(51)))
    async with ScoreClient(
        server.target, credentials=certificate.credentials, certificate_check_interval=0.02
    ) as client:
        events = client.watch(board_id="main")
        revisions = []
        messages.put_nowait(snapshot(1))
        await take(events, 1)
        certificate.replace(gateway_certificate)
        async with asyncio.timeout(20):
            for revision in range(2, 2000):
                messages.put_nowait(checkpoint(revision))
                revisions += [event.revision for event in await take(events, 1)]
                if revisions[-1] == 51:
                    break
                await asyncio.sleep(0.02)

    identities = [call.identity.rsplit("/", 1)[1] for call in server.calls("WatchLeaderboard")]
    assert identities == ["sample-backend", "action-gateway"]
    assert positions(server)[1] == f"{revisions[-3]}-00"


async def test_a_watch_survives_the_restart_of_its_server(
    server: ScriptedServer, client: ScoreClient
) -> None:
    server.script("WatchLeaderboard", play(snapshot(1), update(2)), play(snapshot(2), checkpoint(2)))
    events = client.watch(board_id="main")
    await take(events, 2)
    await server.stop()
    rest = asyncio.ensure_future(take(events, 2))
    await server.start()

    assert [event.revision for event in await rest] == [2, 2]
    assert positions(server) == [None, "2-00"]


async def test_a_watch_survives_the_age_of_its_connection(
    server_certificate: CertificateFiles, credentials: ClientCredentials
) -> None:
    server = ScriptedServer(server_certificate)
    server.script("WatchLeaderboard", play(snapshot(1)))
    await server.start(("grpc.max_connection_age_ms", 100), ("grpc.max_connection_age_grace_ms", 50))
    async with ScoreClient(server.target, credentials=credentials) as client:
        await take(client.watch(board_id="main"), 3)
    await server.stop()

    assert len({call.peer for call in server.received}) >= 3
    assert positions(server)[-1] == "1-00"


async def test_a_watch_survives_a_reset_connection(
    server: ScriptedServer,
    credentials: ClientCredentials,
    start_proxy: Callable[[str], Awaitable[Proxy]],
) -> None:
    proxy = await start_proxy(f"localhost:{server.port}")
    server.script("WatchLeaderboard", play(snapshot(1)), play(snapshot(2)))
    async with ScoreClient(f"dns:///localhost:{proxy.port}", credentials=credentials) as client:
        events = client.watch(board_id="main")
        await take(events, 1)
        proxy.reset()

        assert [event.revision for event in await take(events, 1)] == [2]


async def test_closing_the_watch_ends_its_stream(server: ScriptedServer, client: ScoreClient) -> None:
    ended = asyncio.Event()

    async def note_the_end(_request: object, _context: object) -> Stream:
        try:
            yield snapshot(1)
            await asyncio.Event().wait()
        finally:
            ended.set()

    server.script("WatchLeaderboard", note_the_end)
    async with contextlib.aclosing(client.watch(board_id="main")) as events:
        await anext(events)

    await ended.wait()


async def test_the_callers_cancellation_ends_the_watch(server: ScriptedServer, client: ScoreClient) -> None:
    server.script("WatchLeaderboard", play(snapshot(1)))
    events = client.watch(board_id="main")
    await anext(events)
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(StopAsyncIteration):
        await anext(events)
    assert len(server.received) == 1


async def test_a_watch_of_a_closed_client_ends_with_its_error(
    server: ScriptedServer, credentials: ClientCredentials
) -> None:
    server.script("WatchLeaderboard", play(snapshot(1)))
    async with ScoreClient(server.target, credentials=credentials) as client:
        events = client.watch(board_id="main")
        await anext(events)
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)

    with pytest.raises(ClientClosedError):
        await waiting


async def test_a_watcher_that_does_not_read_holds_the_server_back(
    server: ScriptedServer, client: ScoreClient
) -> None:
    sent = 0

    async def flood(_request: object, _context: object) -> Stream:
        nonlocal sent
        while True:
            sent += 1
            yield message(sent, update=boards.Update(scores=[ADA] * 100))

    server.script("WatchLeaderboard", flood)
    events = client.watch(board_id="main", all_scores=True)
    await take(events, 1)

    async def is_held_back() -> bool:
        before = sent
        await asyncio.sleep(0.2)
        return sent == before

    await eventually(is_held_back)

    assert sent < 300
    assert [event.revision for event in await take(events, 500)] == list(range(2, 502))
