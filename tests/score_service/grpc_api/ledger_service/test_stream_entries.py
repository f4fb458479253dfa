"""Streams of entries over real mutual TLS and real stores."""

import asyncio
from collections.abc import AsyncIterator

import grpc
from grpc import StatusCode
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.score_service import (
    Connect,
    ScoreService,
    StartScoreService,
    Stubs,
    award_request,
    credentials_of,
    rejected,
)

from local_stack.certificates import CertificateFiles
from score_api.v1 import ledger_service_pb2 as ledger_pb
from score_api.v1 import score_service_pb2 as score_pb

Message = ledger_pb.StreamEntriesResponse


async def give(stubs: Stubs, count: int, board_id: str = "main") -> list[str]:
    """Make awards, and return the positions of their commits."""
    made = [await stubs.score.AwardPoints(award_request(board_id=board_id)) for _ in range(count)]
    return [response.result.position for response in made]


async def take(messages: AsyncIterator[Message], count: int) -> list[Message]:
    async with asyncio.timeout(60):
        return [await anext(messages) for _ in range(count)]


def stream(stubs: Stubs, after: str = "", entries_per_message: int = 0) -> AsyncIterator[Message]:
    request = ledger_pb.StreamEntriesRequest(
        board_id="main", after_position=after, entries_per_message=entries_per_message
    )
    return aiter(stubs.ledger.StreamEntries(request, timeout=60))


async def test_each_entry_is_a_message_with_the_position_to_go_on_from(backend_stubs: Stubs) -> None:
    positions = await give(backend_stubs, 3)
    messages = stream(backend_stubs)

    seen = await take(messages, 3)
    positions += await give(backend_stubs, 1)
    seen += [message for message in await take(messages, 1) if message.WhichOneof("entry") == "award"]

    assert [message.revision for message in seen] == [1, 2, 3, 4]
    assert [message.position for message in seen] == positions
    assert [message.award.user_id for message in seen] == ["ada"] * 4
    assert not any(message.following for message in seen)
    [resumed] = await take(stream(backend_stubs, after=positions[2]), 1)
    assert resumed == seen[3]


async def test_messages_hold_as_many_entries_as_they_may(backend_stubs: Stubs) -> None:
    await give(backend_stubs, 5)

    first, second = await take(stream(backend_stubs, entries_per_message=3), 2)

    assert [message.revision for message in (first, *first.following)] == [1, 2, 3]
    assert [message.revision for message in (second, *second.following)] == [4, 5]


async def test_reader_who_has_everything_gets_a_checkpoint_at_once(backend_stubs: Stubs) -> None:
    [position] = await give(backend_stubs, 1)

    [message] = await take(stream(backend_stubs, after=position), 1)

    assert message == Message(checkpoint=ledger_pb.FeedCheckpoint(), revision=1, position=position)


async def test_position_of_another_history_is_a_failed_precondition(backend_stubs: Stubs) -> None:
    await give(backend_stubs, 1)

    error = await rejected(anext(stream(backend_stubs, after="1-0123456789abcdef")))

    assert (error.code, error.reason) == (StatusCode.FAILED_PRECONDITION, "POSITION_UNKNOWN")


async def test_board_that_is_not_there_is_not_found(backend_stubs: Stubs) -> None:
    error = await rejected(anext(stream(backend_stubs)))

    assert (error.code, error.reason) == (StatusCode.NOT_FOUND, "BOARD_NOT_FOUND")


async def test_board_that_is_not_ones_own_is_denied(backend_stubs: Stubs, gateway_stubs: Stubs) -> None:
    await give(gateway_stubs, 1, board_id="private")
    request = ledger_pb.StreamEntriesRequest(board_id="private")

    error = await rejected(anext(aiter(backend_stubs.ledger.StreamEntries(request))))

    assert (error.code, error.reason) == (StatusCode.PERMISSION_DENIED, "NOT_ALLOWED")


async def test_feeds_are_counted_with_what_they_are_sent(
    score_service: ScoreService, backend_stubs: Stubs
) -> None:
    await give(backend_stubs, 4)
    request = ledger_pb.StreamEntriesRequest(board_id="main", entries_per_message=10)
    call = backend_stubs.ledger.StreamEntries(request)
    await anext(aiter(call))

    assert await score_service.metric("laurel_feeds") == 1
    assert await score_service.metric("laurel_feed_entries") == 4
    call.cancel()

    async def is_gone() -> bool:
        return not await score_service.metric("laurel_feeds")

    await eventually(is_gone)


async def test_feeds_beyond_the_limit_may_come_again(
    start_score_service: StartScoreService, connect: Connect, backend_certificate: CertificateFiles
) -> None:
    stubs = connect(await start_score_service(feeds_max=1), backend_certificate)
    await give(stubs, 1)
    one = stream(stubs)
    await take(one, 1)

    error = await rejected(anext(stream(stubs)))

    assert (error.code, error.reason) == (StatusCode.RESOURCE_EXHAUSTED, "WATCHER_EVICTED")
    assert error.retry_after == 1


async def test_reader_who_takes_nothing_is_ended_and_holds_up_nobody(
    start_score_service: StartScoreService, connect: Connect, backend_certificate: CertificateFiles
) -> None:
    service = await start_score_service(stall_seconds=0.5)
    stubs = connect(service, backend_certificate)
    for _ in range(10):  # More than gRPC takes in for a reader who reads nothing.
        await stubs.score.BatchAwardPoints(
            score_pb.BatchAwardPointsRequest(requests=[award_request() for _ in range(200)])
        )
    # As our client has it: otherwise gRPC takes in more, the faster the network is.
    options = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 16_384)]
    credentials = credentials_of(backend_certificate)
    async with grpc.aio.secure_channel(service.target, credentials, options=options) as channel:
        stalled = stream(Stubs.on(channel))
        await take(stalled, 1)

        seen = await take(stream(stubs), 2000)

        async def is_ended() -> bool:
            return await service.metric("laurel_watchers_evicted_total") == 1

        await eventually(is_ended)
        error = await rejected(take(stalled, 2000))

    assert [message.revision for message in seen] == list(range(1, 2001))
    assert (error.code, error.reason) == (StatusCode.RESOURCE_EXHAUSTED, "WATCHER_EVICTED")


async def test_stop_ends_feeds_with_a_status_to_retry(
    start_score_service: StartScoreService, connect: Connect, backend_certificate: CertificateFiles
) -> None:
    service = await start_score_service(drain_seconds=0)
    stubs = connect(service, backend_certificate)
    await give(stubs, 1)
    messages = stream(stubs)
    await take(messages, 1)
    ended = asyncio.create_task(rejected(take(messages, 10)))

    await service.running.stop(asyncio.Event())

    error = await ended
    assert (error.code, error.reason) == (StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
